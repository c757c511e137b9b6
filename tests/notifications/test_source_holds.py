"""The stop button: what is held stays where it is, a release lets it go, what is cancelled is skipped."""

import threading

import pytest
from django.db import connection, transaction
from django.utils import timezone

from notifications.choices import SkipReason, Status
from notifications.drafts import Draft
from notifications.messaging.base import WorkMessage
from notifications.models import Delivery, DeliveryEvent, HoldKind, OutboxMessage, SourceHold
from notifications.services.holds import hold, holds, release
from notifications.services.notification import NotificationService
from notifications.worker import Worker
from tests import factories
from tests.notifications.fakes import FakeProvider, use_provider

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fresh():
    holds.forget()
    yield
    holds.forget()


@pytest.fixture
def provider(settings):
    return use_provider(settings, FakeProvider("fake"))


@pytest.fixture
def queued():
    """Three people's messages from each of two sources."""
    factories.category("news", channels=["email"])
    factories.template("sale")
    people = factories.recipients(3)
    for source in ("campaign:1", "campaign:2"):
        drafts = [Draft(recipient=person.external_id, category="news", template="sale") for person in people]
        NotificationService().send(drafts, source=source)


def work() -> None:
    rows = list(OutboxMessage.objects.filter(due_at__lte=timezone.now()).order_by("id"))
    OutboxMessage.objects.filter(id__in=[row.id for row in rows]).delete()
    for row in rows:
        Worker().process(WorkMessage.of(row.channel, row.priority, row.delivery_ids))


def mixed() -> None:
    """All that waits in one row, as the relay may put it together."""
    rows = list(OutboxMessage.objects.all())
    OutboxMessage.objects.all().delete()
    first = rows[0]
    ids = [id for row in rows for id in row.delivery_ids]
    OutboxMessage.objects.create(channel=first.channel, priority=first.priority, delivery_ids=ids)


def statuses(source: str) -> set[str]:
    return set(Delivery.objects.filter(notification__source=source).values_list("status", flat=True))


def test_what_is_held_is_neither_sent_nor_claimed_and_others_go_on(queued, provider):
    mixed()
    hold("campaign:1", HoldKind.HELD)

    work()

    assert (statuses("campaign:1"), statuses("campaign:2")) == ({Status.QUEUED}, {Status.SENT})
    theirs = Delivery.objects.filter(notification__source="campaign:1")
    assert set(theirs.values_list("attempts", "holds")) == {(0, 0)}
    assert not DeliveryEvent.objects.filter(delivery__in=theirs).exists()
    row = OutboxMessage.objects.get()
    assert (row.held_for, set(row.delivery_ids)) == ("campaign:1", set(theirs.values_list("id", flat=True)))
    assert row.due_at > timezone.now()


def test_a_release_lets_go_what_was_put_back_and_nothing_else(queued, provider):
    hold("campaign:1", HoldKind.HELD)
    hold("campaign:2", HoldKind.HELD)
    work()
    assert provider.calls == []

    release("campaign:1")
    holds.forget()
    work()

    assert (statuses("campaign:1"), statuses("campaign:2")) == ({Status.SENT}, {Status.QUEUED})
    assert len(provider.calls) == 3


def test_what_is_cancelled_is_skipped_by_its_claim(queued, provider):
    hold("campaign:1", HoldKind.HELD)
    hold("campaign:1", HoldKind.CANCELLED)

    work()

    assert statuses("campaign:1") == {Status.SKIPPED}
    reasons = Delivery.objects.filter(notification__source="campaign:1").values_list("skip_reason", flat=True)
    assert set(reasons) == {SkipReason.CANCELLED}
    assert len(provider.calls) == 3


def test_without_holds_a_batch_costs_no_query_for_them(queued, provider, django_assert_num_queries):
    holds.kinds()
    with django_assert_num_queries(0):
        assert holds.park([b"0" * 16], ("email", "normal")) == [b"0" * 16]
        assert holds.cancelled() == frozenset()


def test_a_process_hears_of_a_hold_within_a_second(queued, monkeypatch):
    now = 1000.0
    monkeypatch.setattr("notifications.services.holds.time.monotonic", lambda: now)
    assert holds.kinds() == {}
    hold("campaign:1", HoldKind.HELD)
    assert holds.kinds() == {}

    now += 1.0
    assert holds.kinds() == {"campaign:1": "held"}


def test_a_hold_that_ended_meanwhile_holds_nothing_back(queued, provider):
    hold("campaign:1", HoldKind.HELD)
    assert holds.kinds()
    release("campaign:1")

    work()

    assert statuses("campaign:1") == {Status.SENT}
    assert not OutboxMessage.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_release_waits_for_a_worker_that_is_putting_back_and_finds_its_row(queued):
    hold("campaign:1", HoldKind.HELD)
    row = OutboxMessage.objects.order_by("id").first()
    OutboxMessage.objects.filter(pk=row.pk).delete()
    released = threading.Event()

    def let_go() -> None:
        try:
            release("campaign:1")
            released.set()
        finally:
            connection.close()

    with transaction.atomic():
        assert holds.park([id.bytes for id in row.delivery_ids], (row.channel, row.priority)) == []
        thread = threading.Thread(target=let_go)
        thread.start()
        assert not released.wait(0.3)
    thread.join(10)

    assert released.is_set()
    assert not OutboxMessage.objects.filter(held_for__isnull=False).exists()
    assert OutboxMessage.objects.filter(due_at__lte=timezone.now()).count() == 2
    assert not SourceHold.objects.exists()
