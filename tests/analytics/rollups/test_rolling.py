"""Minutes become cells, once and exactly, and figures stay what they are while that happens."""

import random
import threading
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from analytics import retention
from analytics.models import CategoryCell, MinuteCount, RollupMark, SourceCell, TotalCell
from analytics.observer import MinuteCounts
from analytics.rollups import reading, rolling, spans
from analytics.rollups.reading import Where
from core.moments import database_now
from notifications import latency
from notifications.observers import OutcomeKey

CHANNELS = {"email": ("smtp", "backup"), "sms": ("gate",)}
SOURCES = ("api:abc", "campaign:1", "campaign:2")
MINUTE = timedelta(minutes=1)


class Truth:
    """Counters written over a while, and what they add up to, told by plain counting."""

    def __init__(self, seed: int = 1) -> None:
        self.random = random.Random(seed)
        self.rows: list[tuple[datetime, OutcomeKey, int]] = []

    def count(self, at: datetime, n: int = 1) -> None:
        for _ in range(n):
            channel = self.random.choice(list(CHANNELS))
            outcome, reason = self.random.choice(
                [("sent", ""), ("skipped", "no_address"), ("failed", "rejected"), (latency.OUTCOME, "31")]
            )
            provider = "" if outcome == "skipped" else self.random.choice(CHANNELS[channel])
            source = self.random.choice(SOURCES)
            key = OutcomeKey(source, self.random.randint(1, 2), channel, provider, outcome, reason)
            self.rows.append((spans.floor(at), key, times := self.random.randint(1, 9)))
            MinuteCounts().record({key: times}, at)

    def tallies(self, since: datetime, until: datetime, where: Where) -> Counter[tuple[str, str, str]]:
        found: Counter[tuple[str, str, str]] = Counter()
        for at, key, count in self.rows:
            wanted = {name: getattr(where, name) for name in ("source", "category_id", "channel", "provider")}
            if not since <= at < until or key.outcome == latency.OUTCOME:
                continue
            if all(value in ("", None) or getattr(key, name) == value for name, value in wanted.items()):
                found[key.channel, key.outcome, key.reason] += count
        return found


def told(since: datetime, until: datetime | None, where: Where) -> Counter[tuple[str, str, str]]:
    rows = reading.tallies(since=since, until=until, where=where).rows
    return Counter({(row.channel, row.outcome, row.reason): row.count for row in rows})


@pytest.fixture
def now(db: None) -> datetime:
    return database_now()


@pytest.fixture
def truth(now: datetime) -> Truth:
    """Three weeks and a bit of counters, up to this minute."""
    made = Truth()
    for _ in range(60):
        made.count(now - timedelta(seconds=made.random.uniform(0, 24 * 86400)))
    for _ in range(20):
        made.count(now - timedelta(seconds=made.random.uniform(0, 7200)))
    return made


def roll() -> None:
    while rolling.roll():
        pass


EVERY_WHERE = [
    Where(),
    Where(channel="email"),
    Where(provider="backup"),
    Where(category_id=2, channel="sms"),
    Where(source="campaign:1"),
    Where(source="api:abc", category_id=1),
]


def assert_figures(truth: Truth, now: datetime) -> None:
    for n in range(12):
        where = EVERY_WHERE[n % len(EVERY_WHERE)]
        since = now - timedelta(seconds=truth.random.uniform(0, 25 * 86400))
        until = since + (now - since) * truth.random.random()
        assert told(since, until, where) == truth.tallies(spans.floor(since), spans.floor(until), where)
        assert told(since, None, where) == truth.tallies(spans.floor(since), now + MINUTE, where)


def test_figures_are_the_same_before_and_after_rolling_and_after_rolling_again(truth: Truth, now: datetime) -> None:
    assert_figures(truth, now)

    roll()
    assert {mark.step for mark in RollupMark.objects.exclude(rolled_until=None)} == {10, 60, 1440, 10_080}
    assert_figures(truth, now)

    RollupMark.objects.all().delete()  # a second time, over what is there
    roll()
    assert_figures(truth, now)


def test_what_is_counted_after_rolling_is_told_beside_what_was_before(truth: Truth, now: datetime) -> None:
    roll()
    truth.count(now, 20)

    assert_figures(truth, now)


def test_series_rankings_and_latencies_say_what_the_minutes_say(truth: Truth, now: datetime) -> None:
    def everything() -> list[Any]:
        since = now - timedelta(days=24, minutes=17)
        span = {"since": since, "until": now}
        return [
            reading.series(["sent", "failed"], by=by, where=where, **span)
            for by in ("channel", "source", "category", "reason", "")
            for where in EVERY_WHERE
        ] + [
            reading.series(["sent"], since=now - timedelta(hours=24)),
            reading.series(["sent"], since=now - timedelta(hours=24), where=Where(source="api:abc")),
            reading.top("source", ["sent"], **span),
            reading.top("category", ["sent"], where=Where(channel="sms"), **span),
            {name: one.count for name, one in reading.latency(by="provider", **span).items()},
            reading.latency_series(where=Where(source="campaign:2"), **span),
            {name: tallies.total("sent") for name, tallies in reading.breakdown("source", **span).items()},
        ]

    before = everything()
    roll()

    assert everything() == before


def test_the_three_tables_hold_the_same(truth: Truth, now: datetime) -> None:
    roll()

    for size in (60, 1440, 10_080):
        sums = {
            model: sum(model.objects.filter(step=size, outcome="sent").values_list("count", flat=True))
            for model in (TotalCell, CategoryCell, SourceCell)
        }
        assert len(set(sums.values())) == 1, sums


def test_the_running_ten_minutes_are_left_alone(now: datetime) -> None:
    Truth().count(now, 5)

    roll()

    assert not TotalCell.objects.filter(at__gte=spans.floor(now, 10)).exists()
    assert reading.tallies(since=now).rows


def test_a_minute_that_an_open_transaction_may_still_add_to_is_not_rolled(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a transaction that began in a minute long past, for all that can be told, and is still open
    began, end = threading.Event(), threading.Event()
    opened: list[datetime] = []

    def stay_open() -> None:
        try:
            with transaction.atomic():
                opened.append(database_now())
                began.set()
                end.wait(10)
        finally:
            connection.close()

    thread = threading.Thread(target=stay_open)
    thread.start()
    assert began.wait(5)
    monkeypatch.setattr(rolling, "GRACE", -timedelta(hours=2))  # two hours later
    try:
        with connection.cursor() as cursor:
            assert rolling.settled(cursor) == spans.floor(opened[0])
    finally:
        end.set()
        thread.join()

    # When it has ended, then nothing is waited for
    with connection.cursor() as cursor:
        assert rolling.settled(cursor) > opened[0] + timedelta(hours=1)


def test_two_at_once_do_not_disturb_each_other(transactional_db: None) -> None:
    now = database_now()
    truth = Truth()
    for hours in range(1, 30):
        truth.count(now - timedelta(hours=hours), 3)
    failures: list[BaseException] = []

    def run() -> None:
        try:
            for _ in range(20):
                rolling.roll()
        except BaseException as error:  # handed to the main thread below
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    roll()

    assert failures == []
    assert told(now - timedelta(days=3), None, Where()) == truth.tallies(now - timedelta(days=3), now, Where())


def test_a_time_in_which_nothing_happened_costs_nothing(now: datetime) -> None:
    Truth().count(now - timedelta(days=300))
    Truth().count(now - timedelta(days=2))

    assert rolling.roll() < 20  # and not 7,200 hours
    assert RollupMark.objects.get(step=60).rolled_until == spans.floor(now - rolling.GRACE, 60)


def purged() -> None:
    """What retention does in hours."""
    for _ in range(3):
        retention.purge()


def test_figures_outlive_their_minutes(truth: Truth, now: datetime, settings: Any) -> None:
    settings.COUNTS_MINUTES_DAYS, settings.COUNTS_TEN_MINUTES_DAYS, settings.COUNTS_HOURS_DAYS = 2, 4, 8
    roll()

    purged()

    # Then the minutes are gone, and figures of spans that begin with what is kept are what they were
    assert not MinuteCount.objects.filter(minute__lt=now - timedelta(days=3)).exists()
    assert not CategoryCell.objects.filter(step=10, at__lt=now - timedelta(days=5)).exists()
    assert not SourceCell.objects.filter(step=60, at__lt=now - timedelta(days=9)).exists()
    for where in EVERY_WHERE:
        for days in (0.1, 1, 3, 6, 12, 20, 24):
            since = now - timedelta(days=days, hours=1.3)
            exact, _ = reading.window(since=since, where=where)
            assert exact <= since
            assert told(since, None, where) == truth.tallies(exact, now + MINUTE, where)
            assert told(exact - timedelta(days=2), since, where) == truth.tallies(
                reading.window(since=exact - timedelta(days=2), where=where)[0], exact, where
            )


def test_a_campaign_is_told_in_full_when_only_days_are_left(now: datetime, settings: Any) -> None:
    settings.COUNTS_HOURS_DAYS = 3
    started = now - timedelta(days=30, hours=5)
    sent = OutcomeKey("campaign:9", 1, "email", "smtp", "sent")
    for minutes in (1, 55, 400):
        MinuteCounts().record({sent: 10}, started + minutes * MINUTE)
    roll()
    purged()

    assert not MinuteCount.objects.exists()
    assert reading.tallies(since=started, where=Where(source="campaign:9")).total("sent") == 30
    drawn = reading.series(["sent"], since=started, until=started + timedelta(days=2), where=Where(source="campaign:9"))
    assert (drawn.step, sum(drawn.lines["email"])) == (timedelta(days=1), 30)


def test_what_a_reader_may_be_reading_is_deleted_an_hour_after_it_was_announced(now: datetime, settings: Any) -> None:
    settings.COUNTS_MINUTES_DAYS = 2
    Truth().count(now - timedelta(days=5), 3)
    roll()

    assert retention.purge() == 0
    assert MinuteCount.objects.exists()
    assert reading.window(since=now - timedelta(days=5, minutes=5))[0].minute % 10 == 0
    assert retention.purge() > 0
    assert not MinuteCount.objects.exists()


def test_minutes_that_are_not_rolled_are_kept(now: datetime, settings: Any) -> None:
    settings.COUNTS_MINUTES_DAYS = 2
    Truth().count(now - timedelta(days=5), 3)

    purged()

    assert MinuteCount.objects.exists()


def test_cells_end_with_the_figures(now: datetime, settings: Any) -> None:
    settings.COUNTS_RETENTION_DAYS = 40
    Truth().count(now - timedelta(days=60), 3)
    Truth().count(now - timedelta(days=10), 3)
    roll()

    purged()

    for model in (TotalCell, CategoryCell, SourceCell):
        assert set(model.objects.values_list("step", flat=True)) >= {1440, 10_080}
        assert not model.objects.filter(at__lt=now - timedelta(days=48)).exists()
    assert reading.tallies(since=now - timedelta(days=30)).rows


def test_0_keeps_days_for_ever(now: datetime, settings: Any) -> None:
    settings.COUNTS_RETENTION_DAYS = 0
    Truth().count(now - timedelta(days=3000), 3)
    roll()

    purged()

    assert not MinuteCount.objects.exists()
    assert TotalCell.objects.filter(step=1440).exists()
