"""Steps and digests: what waits to be gathered is no step, and is not told again to who knows it by then."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from channels_app import state
from channels_app.models import FeedCursor, FeedItem
from notifications.choices import EventType
from notifications.digests import closing, sources
from notifications.models import Delivery, Digest, Notification
from notifications.services.tracking import DeliveryTracker, ProviderReceipt
from preferences.digesting import config
from preferences.models import Category
from tests import factories
from tests.notifications.strategies.harness import pass_time, send, waits, went, work

pytestmark = pytest.mark.django_db

STEPS = [
    {"channel": "in_app"},
    {"channel": "push", "after": 600, "unless": "seen"},
    {"channel": "email", "after": 3600, "unless": "read"},
]


@pytest.fixture
def escalating(ann) -> Category:
    return factories.category(
        "orders", strategy="escalate", escalation=STEPS, digest_mode="fixed", digest_window_seconds=60
    )


def close() -> Notification | None:
    """The digest leaves now, as which notification."""
    Digest.objects.filter(state="open").update(closes_at=timezone.now() - timedelta(minutes=5))
    assert closing.close_some() == 1
    return Notification.objects.filter(source="digest:orders").first()


def stored(person, notification, seq: int = 1) -> FeedItem:
    FeedCursor.objects.get_or_create(recipient=person, defaults={"last_seq": 9, "version": 1})
    delivery = Delivery.objects.get(notification_id=notification.id, channel="in_app")
    return FeedItem.objects.create(id=delivery.pk, recipient=person, seq=seq, category="orders", title="Hello")


class TestEscalate:
    def test_the_inbox_shows_each_and_the_digest_goes_by_the_steps_that_are_left(self, ann, provider, escalating):
        send()
        send(data={"n": 2})
        work()
        assert went(provider) == ["in_app", "in_app"]

        digest = close()
        work()

        assert went(provider) == ["in_app", "in_app", "push"]
        assert waits("email") == 3600
        assert digest.data["count"] == 2

    def test_what_was_read_meanwhile_is_not_told_again(self, ann, provider, escalating):
        first, second = send(data={"n": 1}), send(data={"n": 2})
        work()
        stored(ann, second, 2)
        state.change(ann.pk, "read", [stored(ann, first).pk])

        close()
        work()

        assert went(provider) == ["in_app", "in_app", "push"]
        assert Delivery.objects.filter(channel="push", status="sent").count() == 1
        assert Digest.objects.get().state == "sent"

    def test_what_was_merely_seen_may_yet_be_told_by_email(self, ann, provider, escalating):
        one = send()
        work()
        state.change(ann.pk, "seen", [stored(ann, one).pk])

        assert close() is not None

    def test_when_all_was_read_there_is_nothing_to_tell(self, ann, provider, escalating):
        one = send()
        work()
        state.change(ann.pk, "read", [stored(ann, one).pk])

        assert close() is None
        assert Digest.objects.get().state == "empty"


class TestFirst:
    def test_what_the_inbox_delivered_is_not_told_again(self, ann, provider):
        factories.category(
            "orders", strategy="first", channels=["in_app", "email"], digest_mode="fixed", digest_window_seconds=60
        )
        one = send()
        send(data={"n": 2})
        work()
        delivered = Delivery.objects.get(notification_id=one.id, channel="in_app")
        DeliveryTracker().receipts([ProviderReceipt(delivered.pk, EventType.DELIVERED, "fake")])

        close()
        work()

        assert went(provider) == ["in_app", "in_app", "email"]
        assert provider.calls[-1].content["text"] == "It has left."  # the one that is left, as itself

    def test_a_digest_tries_one_channel_after_the_other(self, ann, provider):
        factories.category(
            "orders", strategy="first", channels=["push", "email"], digest_mode="fixed", digest_window_seconds=60
        )
        send()
        work()
        assert went(provider) == []

        close()
        work()

        assert went(provider) == ["push"]
        assert waits("email") == 300


class TestCategory:
    @pytest.mark.parametrize(
        ("fields", "wrong"),
        [
            ({"strategy": "first", "channels": ["push", "email"], "digest_channels": ["push"]}, True),
            ({"strategy": "first", "channels": ["push", "email"], "digest_channels": ["email"]}, False),
            ({"strategy": "first", "channels": ["push", "email"], "digest_channels": ["push", "email"]}, False),
            ({"strategy": "first", "channels": ["push", "in_app"], "digest_channels": ["push"]}, False),
            ({"strategy": "escalate", "digest_channels": ["push"]}, True),
            ({"strategy": "escalate", "digest_channels": ["email"]}, False),
            ({"strategy": "all", "channels": ["push", "email"], "digest_channels": ["push"]}, False),
        ],
    )
    def test_a_channel_that_would_go_before_the_one_it_follows_is_refused(self, fields, wrong):
        found = config.problems(Category(slug="x", digest_mode="fixed", **fields))

        assert [(one.field, one.code) for one in found] == ([("digest_channels", "order")] if wrong else [])


def test_a_digest_of_thousands_is_counted_whole_and_read_in_part(ann, provider, monkeypatch):
    monkeypatch.setattr(sources, "PAGE", 10)
    monkeypatch.setattr(sources, "_NEXT", "FETCH 10 FROM digest_items")
    factories.category("orders", digest_mode="fixed", digest_window_seconds=60)
    sent = [send(content={"title": f"No. {n}", "body": "x"}, channels=["email"]) for n in range(45)]
    Notification.objects.filter(pk=sent[44].id).update(cancelled_at=timezone.now())
    Notification.objects.filter(pk=sent[0].id).update(expires_at=timezone.now() - timedelta(hours=1))

    with CaptureQueriesContext(connection) as queries:
        data = close().data

    assert (data["count"], len(data["items"]), data["more"]) == (43, 20, 23)
    assert [item["title"] for item in data["items"]] == [f"No. {n}" for n in range(43, 23, -1)]
    read = [one["sql"] or "" for one in queries.captured_queries]
    assert len([one for one in read if "content::text" in one]) == 1


def test_what_waits_is_not_brought_forward_as_a_step(ann, provider, escalating):
    send()
    work()
    pass_time(3600)
    work()

    assert went(provider) == ["in_app"]
    assert set(Delivery.objects.exclude(channel="in_app").values_list("skip_reason", flat=True)) == {"digested"}
