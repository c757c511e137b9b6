"""Quiet hours hold what would ring at night: at acceptance, and again at the claim."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from notifications.choices import EventType, HoldReason, SkipReason, Status
from notifications.drafts import Draft
from notifications.models import Delivery, DeliveryEvent, OutboxMessage
from notifications.services import quiet
from notifications.services.notification import NotificationService
from notifications.worker import Worker
from preferences.models import Recipient
from preferences.services import PreferencesService
from tests import factories
from tests.notifications.fakes import FakeProvider, RecordingObserver, use_provider
from tests.notifications.test_failover import accept, events, work

pytestmark = pytest.mark.django_db


class Moment:
    of_test = timezone.now()


@pytest.fixture(autouse=True)
def provider(settings) -> FakeProvider:
    settings.QUIET_HOURS_SPREAD_SECONDS = 300
    Moment.of_test = timezone.now()
    factories.category("orders")
    factories.template("order-shipped")
    only = FakeProvider("first")
    use_provider(settings, only)
    return only


def around(*, begins: timedelta = -timedelta(hours=1), ends: timedelta = timedelta(hours=2)) -> dict[str, object]:
    """Fields of a recipient for whom it is quiet between then and then from now, in UTC."""
    now = Moment.of_test
    return {
        "quiet_start": (now + begins).time().replace(second=0, microsecond=0),
        "quiet_end": (now + ends).time().replace(second=0, microsecond=0),
    }


def end_of(**window: timedelta) -> datetime:
    return (Moment.of_test + window.get("ends", timedelta(hours=2))).replace(second=0, microsecond=0)


def due() -> datetime:
    return OutboxMessage.objects.get().due_at


class TestAcceptance:
    def test_what_would_ring_waits_in_the_outbox_until_the_end_and_some_of_the_spread(self):
        factories.recipient("ann", **around())
        factories.recipient("bob")

        [ann, bob] = accept("ann", "bob")

        rows = {bytes(row.delivery_ids[0].bytes): row.due_at for row in OutboxMessage.objects.all()}
        held = Delivery.objects.get(notification_id=ann.id)
        assert end_of() <= rows[held.pk.bytes] <= end_of() + timedelta(seconds=300)
        assert rows[Delivery.objects.get(notification_id=bob.id).pk.bytes] <= timezone.now()
        assert (held.status, held.tries, ann.deliveries) == (Status.QUEUED, 0, 1)
        event = DeliveryEvent.objects.get()
        assert (event.delivery_id, event.type, event.code) == (held.pk, EventType.HELD, HoldReason.QUIET_HOURS)
        assert event.detail == f"Quiet until {end_of():%H:%M} UTC"

    def test_a_time_to_send_decides_by_its_own_hour(self):
        factories.recipient("ann", **around(begins=timedelta(hours=2), ends=timedelta(hours=4)))

        accept("ann", send_at=timezone.now() + timedelta(hours=3))

        end = end_of(ends=timedelta(hours=4))
        assert end <= due() <= end + timedelta(seconds=300)

    def test_a_time_to_send_after_the_end_is_kept(self):
        at = timezone.now() + timedelta(hours=5)
        factories.recipient("ann", **around())

        accept("ann", send_at=at)

        assert due() == at
        assert not DeliveryEvent.objects.exists()

    def test_critical_ones_the_feed_tests_and_categories_that_do_not_wait_go_at_once(self):
        factories.recipient("ann", **around())
        factories.category("alarms", waits_for_quiet_hours=False)
        accept("ann", priority="critical")
        drafts = [
            Draft(recipient="ann", category="orders", template="order-shipped", channels=["in_app"]),
            Draft(recipient="ann", category="alarms", template="order-shipped", channels=["email"]),
        ]
        NotificationService().send(drafts, source="api:test")
        NotificationService().send(drafts, source="api:test", is_test=True)

        assert all(row.due_at <= timezone.now() for row in OutboxMessage.objects.all())
        assert not DeliveryEvent.objects.exists()

    def test_what_expires_before_the_end_ends_at_once_and_says_why(self):
        factories.recipient("ann", **around())

        [one] = accept("ann", expires_at=timezone.now() + timedelta(hours=1))

        delivery = Delivery.objects.get()
        assert (one.deliveries, one.skipped) == (0, 1)
        assert (delivery.status, delivery.skip_reason) == (Status.SKIPPED, SkipReason.EXPIRED)
        assert DeliveryEvent.objects.get().detail == f"Quiet until {end_of():%H:%M} UTC, and it expires before"
        assert not OutboxMessage.objects.exists()

    def test_the_spread_does_not_make_it_late(self, monkeypatch):
        monkeypatch.setattr(quiet, "share", lambda: 0.999)
        factories.recipient("ann", **around())

        accept("ann", expires_at=end_of() + timedelta(seconds=10))

        assert end_of() <= due() < end_of() + timedelta(seconds=10)

    def test_a_batch_is_one_row_and_batches_are_spread(self):
        factories.recipients(20, **around())

        for _ in range(4):
            accept(*(f"person-{n}" for n in range(20)))

        moments = OutboxMessage.objects.values_list("due_at", flat=True)
        assert len(moments) == len(set(moments)) == 4

    def test_holds_are_counted(self, settings):
        settings.DELIVERY_OBSERVERS = ["tests.notifications.fakes.RecordingObserver"]
        factories.recipient("ann", **around())

        RecordingObserver.counts.clear()

        accept("ann")

        counts = RecordingObserver.counts
        assert [(key.outcome, key.reason, n) for key, n in counts.items() if key.outcome == "held"] == [
            ("held", "quiet_hours", 1)
        ]


class TestClaim:
    def test_who_goes_to_bed_after_acceptance_is_left_alone(self, provider):
        factories.recipient("ann")
        accept("ann")
        Recipient.objects.update(**around())

        work(Worker())

        assert (len(provider.calls), Delivery.objects.get().tries) == (0, 0)
        assert events() == [("held", "", "quiet_hours")]
        assert end_of() <= due() <= end_of() + timedelta(seconds=301)

    def test_the_zone_of_today_counts(self, provider):
        window = around()
        factories.recipient("ann", **window)
        accept("ann")
        PreferencesService().set_quiet_hours("ann", tuple(window.values()), timezone="Pacific/Kiritimati")

        work(Worker())

        assert len(provider.calls) == 1
        assert events() == [("held", "", "quiet_hours"), ("sent", "first", "")]

    def test_a_retry_that_comes_at_night_waits(self, provider):
        factories.recipient("ann")
        accept("ann")
        provider.fail_temporarily(times=1)
        work(Worker())
        Recipient.objects.update(**around())

        work(Worker())

        assert [type for type, *_ in events()] == ["deferred", "held"]
        assert Delivery.objects.get().tries == 1
        Recipient.objects.update(quiet_start=None, quiet_end=None)
        work(Worker())
        assert Delivery.objects.get().status == Status.SENT

    def test_what_expires_before_the_end_is_never_sent(self, provider):
        factories.recipient("ann")
        accept("ann", expires_at=timezone.now() + timedelta(hours=1))
        Recipient.objects.update(**around())

        work(Worker())

        assert len(provider.calls) == 0
        assert Delivery.objects.get().skip_reason == SkipReason.EXPIRED
        assert DeliveryEvent.objects.get().detail.startswith("Quiet until")

    def test_a_batch_that_is_held_together_comes_back_together(self):
        factories.recipients(20)
        accept(*(f"person-{n}" for n in range(20)))
        Recipient.objects.update(**around())

        work(Worker())

        assert [len(row.delivery_ids) for row in OutboxMessage.objects.all()] == [20]

    def test_those_of_the_installation_hold_whoever_has_none(self, provider, settings):
        factories.recipient("ann")
        accept("ann")
        settings.QUIET_HOURS = "{quiet_start:%H:%M}-{quiet_end:%H:%M}".format(**around())

        work(Worker())

        assert events() == [("held", "", "quiet_hours")]

    def test_those_of_the_installation_do_not_hold_who_wants_none(self, provider, settings):
        factories.recipient("ann", quiet_never=True)
        settings.QUIET_HOURS = "{quiet_start:%H:%M}-{quiet_end:%H:%M}".format(**around())
        accept("ann")
        assert not DeliveryEvent.objects.filter(type="held").exists()

        work(Worker())

        assert Delivery.objects.get().status == Status.SENT

    def test_the_clock_of_the_database_decides(self, provider, monkeypatch):
        factories.recipient("ann")
        accept("ann")
        Recipient.objects.update(**around())
        wrong = datetime(2020, 1, 1, tzinfo=UTC)
        monkeypatch.setattr(timezone, "now", lambda: wrong)

        work(Worker())

        assert events() == [("held", "", "quiet_hours")]

    def test_latency_counts_from_the_end(self):
        factories.recipient("ann", **around(begins=-timedelta(hours=3), ends=-timedelta(hours=1)))
        accept("ann")
        with connection.cursor() as cursor:
            cursor.execute("UPDATE notifications_delivery SET created_at = now() - interval '2 hours'")
        worker = Worker()
        claims = worker.tracker.claim([Delivery.objects.get().pk.bytes], channel="email", priority="normal")

        worker.gates.check(claims)

        assert claims[0].claimed_at - claims[0].wanted_at < timedelta(hours=1, minutes=1)
