"""What counts as saying the same again, and what becomes of it; the races are in test_deduplication_races.py."""

import time
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from analytics import selectors as analytics
from core import ids, redis
from notifications.choices import EventType, SkipReason, Status
from notifications.drafts import Accepted, Draft
from notifications.models import Delivery, DeliveryEvent, MessageTemplate, Notification, OutboxMessage
from notifications.services import notify
from notifications.services.notification import NotificationService
from notifications.services.templates import catalogue, new_version, publish
from preferences.models import Category
from preferences.services import PreferenceChange, PreferencesService
from tests import factories

pytestmark = pytest.mark.django_db

LATER = timezone.now() + timedelta(hours=1)


@pytest.fixture(autouse=True)
def shop(settings: Any) -> None:
    factories.category("orders", dedup_seconds=300)
    factories.category("news", dedup_seconds=300)
    factories.template("order-shipped")
    factories.template("order-late")
    factories.recipient("ann")
    factories.recipient("ben")


@pytest.fixture
def no_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client whose server does not exist."""
    nowhere = Redis(host="127.0.0.1", port=1, socket_connect_timeout=0.25, retry=Retry(NoBackoff(), 0))
    monkeypatch.setattr(redis, "client", lambda: nowhere)


def draft(recipient: str = "ann", **fields: Any) -> Draft:
    given: dict[str, Any] = {
        "category": "orders",
        "template": "order-shipped",
        "data": {"order": "A1", "n": 1},
        **fields,
    }
    return Draft(recipient=recipient, **given)


def send(*drafts: Draft, **options: Any) -> list[Accepted]:
    return NotificationService().send(drafts or [draft()], source="api:test", **options)


def one(**fields: Any) -> Accepted:
    return send(draft(**fields))[0]


def words(**fields: Any) -> dict[str, Any]:
    return {"template": None, "data": {}, "content": {"title": "Hello", "body": "Ann", **fields}}


class TestADuplicate:
    def test_is_on_the_record_skipped_and_points_to_the_first(self) -> None:
        first = one()
        queued = OutboxMessage.objects.count()

        again = one()

        assert (first.deliveries, first.duplicate_of) == (4, None)
        assert (again.deliveries, again.skipped, again.duplicate_of) == (0, 4, first.id)
        rows = Delivery.objects.filter(notification=again.id).values_list("status", "skip_reason")
        assert set(rows) == {(Status.SKIPPED, SkipReason.DUPLICATE)}
        events = DeliveryEvent.objects.filter(delivery__notification=again.id)
        assert set(events.values_list("type", "code", "detail")) == {
            (EventType.SKIPPED, SkipReason.DUPLICATE, f"Duplicate of {first.id}")
        }
        assert OutboxMessage.objects.count() == queued

    def test_is_counted_as_skipped_with_its_reason(self) -> None:
        one()
        one()

        tallies = analytics.tallies(since=timezone.now() - timedelta(minutes=5), source="api:test")

        assert tallies.total("queued") == 4
        assert tallies.reasons(EventType.SKIPPED) == [{"label": "Duplicate", "count": 4}]

    def test_keeps_the_other_reasons_of_its_own_deliveries(self) -> None:
        PreferencesService().set_preferences("ann", [PreferenceChange(None, "sms", False)])
        one()

        again = one()

        reasons = dict(Delivery.objects.filter(notification=again.id).values_list("channel", "skip_reason"))
        assert reasons["sms"] == SkipReason.OPTED_OUT
        assert {reasons[channel] for channel in ("email", "push", "in_app")} == {SkipReason.DUPLICATE}

    def test_of_a_duplicate_points_to_the_first_too(self) -> None:
        first = one()

        assert [one().duplicate_of, one().duplicate_of] == [first.id, first.id]

    def test_is_found_inside_one_batch(self) -> None:
        first, again, other = send(draft(), draft(), draft("ben"))

        assert (first.duplicate_of, again.duplicate_of, other.duplicate_of) == (None, first.id, None)

    def test_is_found_in_a_batch_of_categories_with_windows_of_their_own(self) -> None:
        factories.category("news", dedup_seconds=60)
        kinds = ["orders", "news", "news", "orders", "news"]

        found = send(*[draft(("ann", "ben")[n % 2], category=kind) for n, kind in enumerate(kinds)])

        assert [each.duplicate_of for each in found] == [None, None, None, None, found[2].id]
        lives = sorted(round(redis.client().pttl(mark) / 1000) for mark in redis.client().keys(redis.key("dedup:*")))
        assert lives == [60, 60, 300, 300]

    def test_is_what_notify_answers(self) -> None:
        options: dict[str, Any] = {"template": "order-shipped", "data": {"order": "A1"}}
        first = notify(recipient="ann", category="orders", **options)

        assert notify(recipient="ann", category="orders", **options).duplicate_of == first.id

    def test_may_be_said_again_after_the_window(self) -> None:
        factories.category("orders", dedup_seconds=1)
        first, again = one(), one()
        time.sleep(1.1)

        assert again.duplicate_of == first.id
        assert one().duplicate_of is None

    def test_is_not_known_in_a_category_without_a_window(self) -> None:
        factories.category("orders", dedup_seconds=0)

        assert [one().deliveries, one().deliveries] == [4, 4]
        assert redis.client().keys(redis.key("dedup:*")) == []

    def test_a_batch_costs_the_same_queries_as_one(self) -> None:
        factories.recipients(40)
        send(draft("person-0"))
        with CaptureQueriesContext(connection) as single:
            send(draft("person-1"))
        with CaptureQueriesContext(connection) as many:
            send(*[draft(f"person-{n}") for n in range(2, 40)])
        assert len(many) == len(single)


class TestTheSame:
    @pytest.mark.parametrize(
        ("first", "again"),
        [
            ({}, {"data": {"n": 1, "order": "A1"}}),
            ({}, {"metadata": {"trace": "2"}, "priority": "low"}),
            ({}, {"channels": ["in_app", "sms", "email", "push"]}),
            (words(), words()),
            ({"send_at": LATER}, {"send_at": LATER}),
            ({"dedup_key": "k"}, {"dedup_key": "k", "template": "order-late", "channels": ["sms"], "data": {}}),
        ],
    )
    def test_is_a_duplicate(self, first: dict[str, Any], again: dict[str, Any]) -> None:
        assert one(**first).deliveries
        assert one(**again).duplicate_of

    @pytest.mark.parametrize(
        ("first", "again"),
        [
            ({}, {"data": {"order": "A2", "n": 1}}),
            ({}, {"template": "order-late"}),
            ({}, {"category": "news"}),
            ({}, {"recipient": "ben"}),
            ({"channels": ["email"]}, {"channels": ["sms"]}),
            ({}, {"send_at": LATER}),
            (words(), words(body="Ben")),
            ({"dedup_key": "a"}, {"dedup_key": "b"}),
            ({"dedup_key": "a"}, {}),
            ({"dedup_key": "a"}, {"dedup_key": "a", "recipient": "ben"}),
            ({"dedup_key": "a"}, {"dedup_key": "a", "category": "news"}),
        ],
    )
    def test_is_not_what_differs_in_what_is_said(self, first: dict[str, Any], again: dict[str, Any]) -> None:
        assert one(**first).duplicate_of is None
        assert one(**again).duplicate_of is None

    def test_is_not_what_another_version_of_the_template_says(self) -> None:
        one()
        template = MessageTemplate.objects.get(slug="order-shipped")
        publish(new_version(template, factories.CONTENT, by=None), by=None)
        catalogue.clear()

        assert one().duplicate_of is None

    @pytest.mark.parametrize("key", ["", "k"])
    def test_is_not_a_test_and_the_real_thing(self, key: str) -> None:
        send(draft(dedup_key=key), is_test=True)

        assert send(draft(dedup_key=key))[0].duplicate_of is None
        assert send(draft(dedup_key=key), is_test=True)[0].duplicate_of is not None


class TestWhatReachesNobodyHoldsNothingBack:
    def test_a_first_one_that_was_skipped_on_every_channel(self) -> None:
        channels = ["sms"]
        PreferencesService().set_preferences("ann", [PreferenceChange(None, "sms", False)])
        one(channels=channels)
        PreferencesService().set_preferences("ann", [PreferenceChange(None, "sms", True)])

        assert one(channels=channels).deliveries == 1

    def test_a_first_one_that_was_cancelled(self) -> None:
        NotificationService().cancel(one().id)

        second = one()

        assert second.deliveries == 4
        assert one().duplicate_of == second.id

    @pytest.mark.parametrize("key", ["", "k"])
    @pytest.mark.parametrize("status", [Status.SKIPPED, Status.BOUNCED, Status.FAILED, Status.DEAD])
    def test_a_first_one_that_came_to_nothing(self, status: str, key: str) -> None:
        Delivery.objects.filter(notification=one(dedup_key=key).id).update(status=status)

        assert one(dedup_key=key).deliveries == 4

    def test_one_that_is_on_the_record_is_not_waited_for(self) -> None:
        Delivery.objects.filter(notification=one().id).update(status=Status.DEAD)

        with CaptureQueriesContext(connection) as queries:
            assert one().deliveries == 4

        assert not [query for query in queries if "lock_shared" in query["sql"]]

    @pytest.mark.parametrize("status", [Status.QUEUED, Status.SENDING, Status.SENT, Status.DELIVERED])
    def test_but_one_that_is_on_its_way_on_any_channel_does(self, status: str) -> None:
        first = one()
        Delivery.objects.filter(notification=first.id).update(status=Status.BOUNCED)
        Delivery.objects.filter(notification=first.id, channel="sms").update(status=status)

        assert one().duplicate_of == first.id


class TestDeterministicIds:
    def test_an_id_on_the_record_is_known_and_no_duplicate(self) -> None:
        id = ids.deterministic(timezone.now(), ("campaign", 1, "ann"))

        first, again = one(id=id), one(id=id)

        assert (again.existed, again.duplicate_of) == (True, None)
        assert Notification.objects.get().pk == first.id

    def test_a_chunk_that_was_undone_is_no_duplicate_of_itself(self) -> None:
        chunk = [draft(name, id=ids.deterministic(timezone.now(), (1, name))) for name in ("ann", "ben")]
        with transaction.atomic():
            send(*chunk)
            transaction.set_rollback(True)

        assert [(each.deliveries, each.duplicate_of) for each in send(*chunk)] == [(4, None), (4, None)]


@pytest.mark.usefixtures("no_redis")
class TestWithoutRedis:
    def test_acceptance_goes_on_and_lets_repeated_wording_through(self) -> None:
        assert [one().deliveries, one().deliveries] == [4, 4]

    def test_a_callers_key_is_found_on_the_record(self) -> None:
        first = one(dedup_key="k")

        assert one(dedup_key="k", data={}).duplicate_of == first.id
        assert one(dedup_key="k", category="news").duplicate_of is None
        assert one(dedup_key="k", recipient="ben").duplicate_of is None
        assert one(dedup_key="other").duplicate_of is None

    def test_only_within_the_window(self) -> None:
        first = one(dedup_key="k")
        Notification.objects.filter(pk=first.id).update(created_at=timezone.now() - timedelta(seconds=301))

        assert one(dedup_key="k").duplicate_of is None

    def test_duplicates_inside_one_batch_are_found(self) -> None:
        before = one(dedup_key="k")

        found = send(draft(), draft(), draft(dedup_key="k"), draft(dedup_key="new"), draft(dedup_key="new"))

        assert [each.duplicate_of for each in found] == [None, found[0].id, before.id, None, found[3].id]

    def test_many_keys_cost_one_query(self) -> None:
        factories.recipients(30)
        send(draft("person-0", dedup_key="k"))
        with CaptureQueriesContext(connection) as single:
            send(draft("person-1", dedup_key="k"))
        with CaptureQueriesContext(connection) as many:
            send(*[draft(f"person-{n}", dedup_key="k") for n in range(2, 30)])
        assert len(many) == len(single)


class TestAFlushedRedis:
    def test_has_forgotten_wording_but_the_record_knows_keys(self) -> None:
        first = one(dedup_key="k")
        one(data={"order": "B"})
        redis.client().delete(*redis.client().keys(redis.key("dedup:*")))

        assert one(data={"order": "B"}).duplicate_of is None
        assert [one(dedup_key="k").duplicate_of, one(dedup_key="k").duplicate_of] == [first.id, first.id]

    def test_that_comes_back_after_acceptances_knows_their_keys(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with monkeypatch.context() as away:
            away.setattr(redis, "client", lambda: Redis(host="127.0.0.1", port=1, retry=Retry(NoBackoff(), 0)))
            first = one(dedup_key="k")

        assert one(dedup_key="k").duplicate_of == first.id


def test_a_mark_lives_as_long_as_the_window() -> None:
    one()

    (mark,) = redis.client().keys(redis.key("dedup:*"))

    assert 290_000 < redis.client().pttl(mark) <= 300_000
    assert Category._meta.get_field("dedup_seconds").default == 300
