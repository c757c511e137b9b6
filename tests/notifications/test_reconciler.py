"""Nothing stays behind: the reconciler and the partitions."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from core import ids
from notifications import messaging, partitions
from notifications.choices import Status
from notifications.errors import BrokerUnavailable
from notifications.models import Delivery, Notification, OutboxMessage
from notifications.reconciler import Reconciler
from tests import factories
from tests.notifications.test_pipeline import draft, send

pytestmark = pytest.mark.django_db


@pytest.fixture
def old(settings):
    """Two queued deliveries accepted long enough ago to be looked at, in the outbox no more."""
    settings.RECONCILE_AFTER_SECONDS = 60
    factories.category("orders")
    factories.template("order-shipped")
    factories.recipient("ann")
    past = timezone.now() - timedelta(minutes=10)
    send(draft("ann", channels=["email", "sms"], id=ids.deterministic(past, ("old",))))
    Delivery.objects.update(created_at=past)
    OutboxMessage.objects.all().delete()
    return Delivery.objects.all()


def test_a_delivery_nobody_holds_goes_back_into_the_outbox(old):
    sweep = Reconciler().step()

    assert sweep.rescued == 2
    found = {id for row in OutboxMessage.objects.all() for id in row.delivery_ids}
    assert found == {delivery.id for delivery in old}


def test_a_second_sweep_finds_nothing_more(old):
    Reconciler().step()

    assert Reconciler().step().rescued == 0


def test_what_waits_in_the_outbox_is_left_alone(old):
    for delivery in old:
        OutboxMessage.objects.create(
            channel=delivery.channel,
            priority="normal",
            delivery_ids=[delivery.id],
            due_at=timezone.now() + timedelta(hours=1),
        )

    assert Reconciler().step().rescued == 0


def test_a_live_lease_is_respected_and_a_dead_one_is_not(old):
    old.filter(channel="email").update(status=Status.SENDING, lease_until=timezone.now() + timedelta(minutes=1))
    old.filter(channel="sms").update(status=Status.SENDING, lease_until=timezone.now() - timedelta(minutes=1))

    assert Reconciler().step().rescued == 1
    assert OutboxMessage.objects.get().channel == "sms"


def test_what_has_ended_is_left_alone(old):
    old.update(status=Status.SENT)

    assert Reconciler().step().rescued == 0


def test_work_waiting_in_the_broker_is_not_published_again(old, settings, monkeypatch):
    settings.BROKER_URL = "amqp://there-is-one"
    depths = {("email", "normal"): 7, ("sms", "normal"): 0}
    monkeypatch.setattr(messaging, "depths", lambda: depths)

    assert Reconciler().step().rescued == 1
    depths["email", "normal"] = 0
    assert Reconciler().step().rescued == 1


def test_without_word_from_the_broker_nothing_is_republished(old, settings, monkeypatch):
    def away():
        raise BrokerUnavailable

    settings.BROKER_URL = "amqp://gone"
    monkeypatch.setattr(messaging, "depths", away)

    assert Reconciler().step().rescued == 0


def test_a_delivery_without_its_notification_is_reported(old):
    Notification.objects.all().delete()

    assert Reconciler().step().orphans == 2


class TestPartitions:
    def test_weeks_cover_each_other_without_a_gap(self):
        week = partitions.Week.of(datetime(2026, 12, 31, 23, 59, tzinfo=UTC))

        assert week.suffix == "2026w53"
        assert week.next().suffix == "2027w01"
        assert week.bounds[1] == week.next().bounds[0]

    def test_the_current_week_and_the_next_exist_from_the_first_migration(self):
        now = datetime.now(UTC)
        for table in partitions.TABLES:
            assert {week.suffix for week in partitions.weeks(now, 4)} <= partitions.existing(table)

    def test_a_row_outside_every_week_is_kept_and_moved_when_its_week_is_made(self):
        factories.category("orders")
        factories.template("order-shipped")
        factories.recipient("ann")
        far = datetime.now(UTC) + timedelta(weeks=30)
        send(draft("ann", id=ids.deterministic(far, ("far",))))
        assert partitions.strays()["notifications_notification"] == 1

        partitions.create("notifications_notification", partitions.Week.of(far))

        assert partitions.strays()["notifications_notification"] == 0
        assert Notification.objects.count() == 1

    def test_retention_drops_whole_weeks_and_only_old_ones(self):
        now = datetime.now(UTC)
        partitions.ensure(now - timedelta(weeks=6), ahead=0)

        dropped = partitions.drop_before(now, keep_weeks=4)

        assert len(dropped) == 2 * len(partitions.TABLES)  # the week asked for and the one before it
        assert partitions.Week.of(now).suffix in partitions.existing("notifications_delivery")

    def test_an_update_of_a_delivery_touches_no_index(self):
        """HOT updates are what lets a delivery be claimed and recorded at the price of a heap write."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT a.attname FROM pg_index i"
                "  JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)"
                " WHERE i.indrelid = 'notifications_delivery'::regclass"
            )
            indexed = {row[0] for row in cursor.fetchall()}
        assert indexed == {"id", "notification_id"}
