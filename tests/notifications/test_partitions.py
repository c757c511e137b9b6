"""Weekly partitions: made ahead and for what fell outside, while everybody goes on working."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import OperationalError, connection, connections, transaction

from core import ids
from notifications import maintenance, partitions
from notifications.choices import EventType, Status
from notifications.models import Delivery, Notification
from notifications.partitions import TABLES, Week
from notifications.services.claims import Result
from notifications.services.tracking import DeliveryTracker
from tests import factories
from tests.notifications.test_pipeline import draft, send

#: A week that no migration made, far enough back for nobody else to need it.
LONG_AGO = datetime.now(UTC) - timedelta(weeks=20)


class Background(threading.Thread):
    """Something done beside the test on a connection of its own; `finish()` returns or raises what became of it."""

    def __init__(self, work: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self.work = work
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self.result = self.work()
        except BaseException as error:
            self.error = error
        finally:
            connections.close_all()

    def finish(self) -> Any:
        self.join(20)
        assert not self.is_alive()
        if self.error:
            raise self.error
        return self.result


@pytest.fixture
def ann():
    factories.category("orders")
    factories.template("order-shipped")
    return factories.recipient("ann")


@pytest.fixture
def extra_weeks(transactional_db: None) -> Iterator[None]:
    """Whatever weeks a test makes for good are dropped after it."""
    before = {table: partitions.existing(table) for table in TABLES}
    yield
    with connection.cursor() as cursor:
        for table in TABLES:
            for suffix in partitions.existing(table) - before[table]:
                cursor.execute(f"DROP TABLE {table}_{suffix}")


def of_a_missing_week(*parts: object) -> Delivery:
    """A queued delivery that fell into the default partition."""
    (accepted,) = send(draft("ann", channels=["email"], id=ids.deterministic(LONG_AGO, parts)))
    return Delivery.objects.get(notification_id=accepted.id)


def waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
            " WHERE d.datname = current_database() AND NOT l.granted"
        )
        return cursor.fetchone()[0] > 0


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.django_db
class TestWeeks:
    def test_they_cover_each_other_without_a_gap(self):
        week = Week.of(datetime(2026, 12, 31, 23, 59, tzinfo=UTC))

        assert week.suffix == "2026w53"
        assert week.next().suffix == "2027w01"
        assert week.bounds[1] == week.next().bounds[0]
        assert Week.named("2026w53") == week

    def test_the_current_one_and_the_next_exist_from_the_first_migration(self):
        now = datetime.now(UTC)
        for table in TABLES:
            assert {week.suffix for week in partitions.weeks(now, 4)} <= partitions.existing(table)

    def test_one_that_is_there_is_not_made_again(self):
        assert partitions.create("notifications_delivery", Week.of(datetime.now(UTC))) is False

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


@pytest.mark.django_db
class TestStrays:
    def test_a_row_outside_every_week_is_kept_and_moved_when_its_week_is_made(self, ann):
        of_a_missing_week("far")
        assert partitions.strays()["notifications_notification"] == 1

        assert partitions.create("notifications_notification", Week.of(LONG_AGO))

        assert partitions.strays()["notifications_notification"] == 0
        assert Notification.objects.count() == 1

    def test_maintenance_makes_weeks_for_them(self, ann):
        of_a_missing_week("a")
        older = LONG_AGO - timedelta(weeks=2)
        send(draft("ann", id=ids.deterministic(older, ("b",))))

        for _ in maintenance.keep_partitions():
            pass

        assert set(partitions.strays().values()) == {0}
        for table in TABLES:
            assert {Week.of(LONG_AGO).suffix, Week.of(older).suffix} <= partitions.existing(table)
        assert Notification.objects.count() == 2

    def test_a_few_weeks_at_a_time(self, ann, monkeypatch):
        monkeypatch.setattr(partitions, "STRAY_WEEKS", 2)
        for n in range(3):
            send(draft("ann", channels=["sms"], id=ids.deterministic(LONG_AGO - timedelta(weeks=n), (n,))))

        assert len(partitions.take_in_strays(datetime.now(UTC))) == 2 * len(TABLES)
        assert len(partitions.take_in_strays(datetime.now(UTC))) == 1 * len(TABLES)

    @pytest.mark.parametrize("year", [2100, 10_800])  # the second is more than a date can hold
    def test_what_a_wrong_clock_made_stays_where_it_is(self, ann, year):
        milliseconds = (year - 1970) * 31_556_952_000
        Notification.objects.create(
            id=UUID(int=milliseconds << 80 | 7 << 76 | 2 << 62),
            recipient=ann,
            category=factories.category("clock"),
            priority="normal",
            source="test",
        )

        assert partitions.take_in_strays(datetime.now(UTC)) == []
        assert partitions.strays()["notifications_notification"] == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("extra_weeks")
class TestBesideOthers:
    def test_an_outcome_recorded_while_its_row_moves_is_not_lost(self, ann):
        delivery = of_a_missing_week("a")
        (claim,) = DeliveryTracker().claim([delivery.id.bytes], channel="email", priority="normal")
        sent = Result(claim, EventType.SENT, "fake", provider_message_id="yes")

        with transaction.atomic():
            partitions.create("notifications_delivery", Week.of(LONG_AGO))
            recording = Background(lambda: DeliveryTracker().record([sent]))
            until(waits_for_a_lock)
        recording.finish()

        assert Delivery.objects.get().status == Status.SENT

    def test_a_claim_while_the_row_moves_gets_it(self, ann):
        delivery = of_a_missing_week("a")

        with transaction.atomic():
            partitions.create("notifications_delivery", Week.of(LONG_AGO))
            claiming = Background(
                lambda: DeliveryTracker().claim([delivery.id.bytes], channel="email", priority="normal")
            )
            until(waits_for_a_lock)

        assert [claim.id for claim in claiming.finish()] == [delivery.id.bytes]

    def test_who_changes_a_row_first_is_waited_for(self, ann):
        delivery = of_a_missing_week("a")

        with transaction.atomic():
            DeliveryTracker().claim([delivery.id.bytes], channel="email", priority="normal")
            making = Background(lambda: partitions.create("notifications_delivery", Week.of(LONG_AGO)))
            until(waits_for_a_lock)

        assert making.finish() is True
        assert Delivery.objects.get().status == Status.SENDING

    def test_rows_that_keep_coming_find_their_week(self, ann):
        of_a_missing_week("first")
        stop = threading.Event()

        def insert() -> int:
            count = 0
            while not stop.is_set():
                send(draft("ann", channels=["sms"], id=ids.deterministic(LONG_AGO, (count,))))
                count += 1
            return count

        inserting = Background(insert)
        until(lambda: Notification.objects.count() > 5)
        try:
            for table in TABLES:
                assert partitions.create(table, Week.of(LONG_AGO))
            made = Notification.objects.count()
            until(lambda: Notification.objects.count() > made + 5)
        finally:
            stop.set()

        sent = inserting.finish()
        assert Delivery.objects.count() == Notification.objects.count() == sent + 1
        assert set(partitions.strays().values()) == {0}

    def test_a_new_week_without_strays_waits_for_no_writer(self, ann):
        with transaction.atomic():
            send(draft("ann", channels=["email"]))
            making = Background(lambda: partitions.create("notifications_delivery", Week.of(LONG_AGO)))
            making.join(5)

            assert making.finish() is True

    def test_it_gives_way_to_a_long_reader_and_changes_nothing(self, ann, monkeypatch):
        monkeypatch.setattr(partitions, "PATIENCE", "200ms")
        of_a_missing_week("a")

        with transaction.atomic():
            Delivery.objects.count()
            making = Background(lambda: partitions.create("notifications_delivery", Week.of(LONG_AGO)))
            with pytest.raises(OperationalError, match="lock timeout"):
                making.finish()

        assert partitions.strays()["notifications_delivery"] == 1
        assert Week.of(LONG_AGO).suffix not in partitions.existing("notifications_delivery")

    def test_the_first_stray_may_come_while_its_week_is_being_made(self, ann, monkeypatch):
        # Given a row that is inserted after the default partition was found without one
        create = partitions._create

        def late(table: str, week: Week, *, moving: bool) -> bool:
            if not moving:
                of_a_missing_week("late")
            return create(table, week, moving=moving)

        monkeypatch.setattr(partitions, "_create", late)

        assert partitions.create("notifications_delivery", Week.of(LONG_AGO))
        assert partitions.strays()["notifications_delivery"] == 0

    def test_two_processes_may_make_them_at_once(self, monkeypatch):
        # Given two that have both just seen that the weeks are missing
        both_looked = threading.Barrier(2, timeout=5)
        first_look = threading.local()
        existing = partitions.existing

        def look(table: str) -> set[str]:
            found = existing(table)
            if not hasattr(first_look, "done"):
                first_look.done = True
                both_looked.wait()
            return found

        with monkeypatch.context() as patched:
            patched.setattr(partitions, "existing", look)
            makers = [Background(lambda: partitions.ensure(LONG_AGO, ahead=0)) for _ in range(2)]
            made = [name for maker in makers for name in maker.finish()]

        assert len(made) == len(set(made)) == 2 * len(TABLES)
