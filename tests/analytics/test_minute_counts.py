"""The counters by minute, and the proof that they equal the events."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction

from analytics import selectors
from analytics.models import MinuteCount
from analytics.observer import MinuteCounts
from analytics.services import verify
from notifications.choices import EventType
from notifications.drafts import Draft
from notifications.observers import OutcomeKey
from notifications.services.notification import NotificationService
from tests import factories

AT = datetime(2026, 11, 22, 10, 30, 15, tzinfo=UTC)
SENT = OutcomeKey("api:abc", 1, "email", "smtp", "sent")
SKIPPED = OutcomeKey("api:abc", 1, "sms", "", "skipped", "no_address")


@pytest.mark.django_db
def test_batches_of_one_minute_add_up_in_one_row() -> None:
    MinuteCounts().record({SENT: 3, SKIPPED: 1}, AT)
    MinuteCounts().record({SENT: 4}, AT + timedelta(seconds=40))

    rows = MinuteCount.objects.order_by("outcome").values_list("minute", "channel", "outcome", "reason", "count")
    minute = AT.replace(second=0)
    assert list(rows) == [(minute, "email", "sent", "", 7), (minute, "sms", "skipped", "no_address", 1)]


@pytest.mark.django_db
def test_the_next_minute_is_another_row() -> None:
    MinuteCounts().record({SENT: 3}, AT)
    MinuteCounts().record({SENT: 4}, AT + timedelta(minutes=1))

    assert sorted(MinuteCount.objects.values_list("count", flat=True)) == [3, 4]


@pytest.mark.django_db(transaction=True)
def test_a_rollback_takes_its_counts_with_it() -> None:
    with transaction.atomic():
        MinuteCounts().record({SENT: 3}, AT)
        transaction.set_rollback(True)

    assert not MinuteCount.objects.exists()


@pytest.fixture
def another_writer(transactional_db: None) -> Iterator[threading.Event]:
    """A second connection that has recorded SENT and holds its transaction open until the event is set."""
    recorded, release = threading.Event(), threading.Event()

    def write() -> None:
        try:
            with transaction.atomic():
                MinuteCounts().record({SENT: 10}, AT)
                recorded.set()
                release.wait(10)
        finally:
            connection.close()

    thread = threading.Thread(target=write)
    thread.start()
    assert recorded.wait(5)
    yield release
    release.set()
    thread.join()


def test_recording_does_not_wait_for_an_open_transaction(another_writer: threading.Event) -> None:
    # Given another transaction that has counted the same key and is still open
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '500ms'")
        # When this one records, it doesn't wait (a wait would raise)
        MinuteCounts().record({SENT: 1}, AT)
        cursor.execute("RESET lock_timeout")
    another_writer.set()

    # Then both are counted, whatever the row
    deadline = datetime.now(UTC) + timedelta(seconds=5)
    while selectors.tallies(since=AT).total("sent") != 11 and datetime.now(UTC) < deadline:
        pass
    assert selectors.tallies(since=AT).total("sent") == 11


def test_two_transactions_with_batches_in_opposite_order_do_not_deadlock(transactional_db: None) -> None:
    # Given two writers that each record two keys, in opposite order, within one transaction
    barrier = threading.Barrier(2, timeout=10)
    failures: list[BaseException] = []

    def write(first: OutcomeKey, second: OutcomeKey) -> None:
        try:
            with transaction.atomic():
                MinuteCounts().record({first: 1}, AT)
                barrier.wait()
                MinuteCounts().record({second: 1}, AT)
        except BaseException as error:  # handed to the main thread below
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=write, args=pair) for pair in ((SENT, SKIPPED), (SKIPPED, SENT))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert selectors.tallies(since=AT).total("sent", "skipped") == 4


@pytest.mark.django_db
def test_the_counters_equal_the_events_of_acceptance() -> None:
    # Given notifications of which some channels are skipped
    factories.category("orders")
    factories.template("order-shipped")
    factories.recipient("whole")
    factories.recipient("no-mail", email="", devices=0)
    now = selectors.database_now()
    drafts = [Draft(recipient=who, category="orders", template="order-shipped") for who in ("whole", "no-mail")]

    NotificationService().send(drafts, source="api:abc")

    span = (now - timedelta(minutes=1), now + timedelta(minutes=2))
    assert verify(*span) == []
    tallies = selectors.tallies(since=now)
    assert tallies.total("accepted") == 2
    assert tallies.total(EventType.SKIPPED) == 2
    assert tallies.reasons(EventType.SKIPPED) == [{"label": "No address", "count": 2}]

    # When a counter is off by one, then the comparison names it
    MinuteCount.objects.filter(outcome="skipped", channel="email").update(count=5)
    wrong = verify(*span)
    assert [(d.key.channel, d.counted, d.happened) for d in wrong] == [("email", 5, 1)]


@pytest.mark.django_db
def test_a_long_span_is_drawn_in_sixty_even_bars() -> None:
    start = AT - timedelta(hours=5)
    for minutes in (0, 1, 299):
        MinuteCounts().record({SENT: 10}, start + timedelta(minutes=minutes))

    drawn = selectors.sent_series(start, AT)

    email = next(series for series in drawn["series"] if series["key"] == "email")
    assert drawn["step"] == 10
    assert len(drawn["minutes"]) == len(email["counts"]) <= selectors.BARS + 1
    assert sum(email["counts"]) == 30
    assert email["counts"][0] == 20
