"""The record ends a week at a time, and never before its work does."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError, connection, transaction

from core import ids
from notifications import maintenance, partitions, retention
from notifications.choices import Status
from notifications.models import Delivery, DeliveryEvent, Notification
from notifications.partitions import TABLES, Week
from notifications.retention import Retention
from tests.notifications.test_partitions import Background, ann, extra_weeks, until, waits_for_a_lock
from tests.notifications.test_pipeline import draft, send

__all__ = ["ann", "extra_weeks"]

NOW = datetime.now(UTC)
OLD = NOW - timedelta(weeks=10)
WEEK = Week.of(OLD)


def keep(weeks: int, rules: Retention | None = None) -> None:
    for _ in (rules or Retention()).sweep(NOW, weeks):
        pass


def in_the_old_week(*parts: object, at: datetime = OLD) -> Delivery:
    """A queued delivery of that week, as if it had been accepted then for a moment long after."""
    for table in TABLES:
        partitions.create(table, WEEK)
    (accepted,) = send(draft("ann", channels=["email"], id=ids.deterministic(at, parts)))
    return Delivery.objects.get(notification_id=accepted.id)


def has_week(table: str = "notifications_delivery") -> bool:
    return WEEK.suffix in partitions.existing(table)


@pytest.mark.django_db
class TestWhatGoes:
    def test_whole_weeks_and_only_old_ones(self):
        partitions.ensure(NOW - timedelta(weeks=6), ahead=0)
        before = partitions.existing("notifications_delivery")

        keep(4)

        for table in TABLES:  # the week asked for and the one before it
            gone = {Week.of(NOW - timedelta(weeks=n)).suffix for n in (6, 7)}
            assert partitions.existing(table) == before - gone

    @pytest.mark.parametrize("status", [Status.QUEUED, Status.SENDING])
    def test_a_week_with_work_to_be_done_stays_in_every_table(self, ann, status):
        in_the_old_week("scheduled")
        Delivery.objects.update(status=status)

        keep(4)

        assert all(has_week(table) for table in TABLES)
        assert (Notification.objects.count(), Delivery.objects.count()) == (1, 1)

    def test_it_goes_once_the_work_is_done(self, ann):
        in_the_old_week("scheduled"), in_the_old_week("later")
        rules = Retention()
        keep(4, rules)
        for delivery in Delivery.objects.all():
            assert has_week()
            Delivery.objects.filter(id=delivery.id).update(status=Status.SENT)
            keep(4, rules)

        assert not any(has_week(table) for table in TABLES)
        assert (Notification.objects.count(), Delivery.objects.count()) == (0, 0)

    def test_work_at_the_start_of_the_next_week_may_belong_to_this_one(self, ann):
        in_the_old_week("new-year", at=WEEK.end - timedelta(milliseconds=1))
        partitions.create("notifications_delivery", WEEK.next())
        Delivery.objects.update(id=ids.deterministic(WEEK.end, ("new-year",)))

        keep(4)

        assert has_week("notifications_notification")

    def test_what_keeps_a_week_is_said_once(self, ann, caplog):
        caplog.set_level("INFO")
        delivery = in_the_old_week("scheduled")
        rules = Retention()

        keep(4, rules), keep(4, rules)

        said = [record.getMessage() for record in caplog.records if "week_kept" in record.getMessage()]
        assert len(said) == 1
        assert str(delivery.id) in said[0]
        assert WEEK.suffix in said[0]

    def test_a_kept_week_costs_a_look_up_and_no_scan(self, ann, django_assert_num_queries):
        in_the_old_week("scheduled")
        rules = Retention()
        keep(4, rules)

        with django_assert_num_queries(len(TABLES) + 1):
            keep(4, rules)

    def test_a_table_that_lacks_the_week_is_no_obstacle(self):
        partitions.create("notifications_deliveryevent", WEEK)

        keep(4)

        assert not has_week("notifications_deliveryevent")

    @pytest.mark.parametrize(("weeks", "is_kept"), [(0, True), (4, False)])
    def test_the_setting_decides(self, settings, weeks, is_kept):
        settings.RETENTION_WEEKS = weeks
        partitions.create("notifications_delivery", WEEK)
        tasks = maintenance.Maintenance()
        tasks.tasks = [task for task in tasks.tasks if task.name == "retire_weeks"]

        while tasks.step():
            pass

        assert has_week() is is_kept


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("extra_weeks")
class TestBesideOthers:
    def test_a_long_reader_stops_the_drop_and_not_the_pipeline(self, ann):
        partitions.create("notifications_delivery", WEEK)
        with transaction.atomic():
            Notification.objects.count()
            dropping = Background(lambda: retention.drop(WEEK))
            until(waits_for_a_lock)
            started = time.monotonic()
            Background(lambda: send(draft("ann", channels=["email"]))).finish()
            waited = time.monotonic() - started

            with pytest.raises(OperationalError, match="lock timeout"):
                dropping.finish()

        assert waited < 3
        assert has_week()

    def test_a_table_that_is_busy_leaves_the_week_whole(self, ann):
        in_the_old_week("done")
        Delivery.objects.update(status=Status.SENT)
        with transaction.atomic():
            DeliveryEvent.objects.count()
            with pytest.raises(OperationalError, match="lock timeout"):
                Background(lambda: retention.drop(WEEK)).finish()

        assert all(has_week(table) for table in TABLES)
        assert (Notification.objects.count(), Delivery.objects.count()) == (1, 1)

    def test_what_is_revived_meanwhile_is_seen(self, ann):
        # Given an ended delivery that a replay, not yet committed, puts back to work
        delivery = in_the_old_week("dead")
        Delivery.objects.update(status=Status.DEAD)
        with transaction.atomic():
            Delivery.objects.filter(id=delivery.id).update(status=Status.QUEUED)
            dropping = Background(lambda: retention.drop(WEEK))
            until(waits_for_a_lock)

        assert dropping.finish() == delivery.id
        assert has_week()

    def test_two_processes_may_drop_at_once(self):
        for table in TABLES:
            partitions.create(table, WEEK)

        for dropping in [Background(lambda: retention.drop(WEEK)) for _ in range(2)]:
            assert dropping.finish() is None

        with connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass(%s)", [f"notifications_delivery_{WEEK.suffix}"])
            assert cursor.fetchone() == (None,)
