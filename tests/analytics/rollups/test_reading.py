"""What the figures answer, from counters written as the pipeline writes them."""

from datetime import UTC, datetime, timedelta

import pytest

from analytics.observer import MinuteCounts
from analytics.rollups import reading
from analytics.rollups.reading import Where
from core.moments import database_now
from notifications import latency
from notifications.observers import OutcomeKey

pytestmark = pytest.mark.django_db

AT = datetime(2026, 11, 22, 10, 30, 15, tzinfo=UTC)
EMAIL = OutcomeKey("campaign:1", 1, "email", "smtp", "sent")
BACKUP = OutcomeKey("api:abc", 2, "email", "backup", "sent")
SMS = OutcomeKey("api:abc", 2, "sms", "gate", "sent")
SKIPPED = OutcomeKey("api:abc", 2, "sms", "", "skipped", "no_address")
FAILED = OutcomeKey("api:abc", 2, "sms", "gate", "failed", "rejected")
MINUTE = timedelta(minutes=1)


def took(seconds: float, key: OutcomeKey = EMAIL) -> OutcomeKey:
    return key._replace(outcome=latency.OUTCOME, reason=latency.bucket(timedelta(seconds=seconds)))


def count(counts: dict[OutcomeKey, int], at: datetime = AT) -> None:
    MinuteCounts().record(counts, at)


def test_a_span_holds_the_minute_it_begins_in_and_not_the_one_it_ends_in() -> None:
    for minutes, n in ((-1, 1), (0, 10), (1, 100), (2, 1000)):
        count({EMAIL: n}, AT + minutes * MINUTE)

    found = reading.tallies(since=AT, until=AT + 2 * MINUTE)

    assert found.total("sent") == 110


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (Where(), 7),
        (Where(source="api:abc"), 6),
        (Where(category_id=1), 1),
        (Where(channel="email"), 3),
        (Where(provider="gate"), 4),
        (Where(channel="email", provider="gate"), 0),
        (Where(source="campaign:1", category_id=1, channel="email", provider="smtp"), 1),
    ],
)
def test_figures_can_be_narrowed_by_anything_that_is_counted(where: Where, expected: int) -> None:
    count({EMAIL: 1, BACKUP: 2, SMS: 4})

    assert reading.tallies(since=AT, where=where).total("sent") == expected


def test_latencies_are_no_outcome_among_the_others() -> None:
    count({EMAIL: 2, took(0.5): 2})

    assert [row.outcome for row in reading.tallies(since=AT).rows] == ["sent"]


@pytest.mark.parametrize("by", ["channel", "outcome", "reason"])
def test_a_breakdown_may_be_by_what_every_tally_has(by: reading.By) -> None:
    count({EMAIL: 3, SMS: 4})
    found = reading.breakdown(by, since=AT)
    assert sum(tallies.total("sent") for tallies in found.values()) == 7


def test_a_breakdown_tells_the_parts_apart() -> None:
    count({EMAIL: 1, BACKUP: 2, SMS: 4, SKIPPED: 8})

    by_provider = reading.breakdown("provider", since=AT)
    by_category = reading.breakdown("category", since=AT)

    assert {name: tallies.total("sent") for name, tallies in by_provider.items()} == {
        "smtp": 1, "backup": 2, "gate": 4, "": 0,
    }  # fmt: skip
    assert {name: tallies.total("sent", "skipped") for name, tallies in by_category.items()} == {"1": 1, "2": 14}


def test_totals_leave_channels_and_reasons_aside() -> None:
    count({EMAIL: 1, BACKUP: 2, SMS: 4, SKIPPED: 8})

    by_category = reading.totals("category", ["sent", "skipped"], since=AT)

    assert {name: tallies.total("sent", "skipped") for name, tallies in by_category.items()} == {"1": 1, "2": 14}
    assert {(row.channel, row.reason) for tallies in by_category.values() for row in tallies.rows} == {("", "")}
    assert reading.totals("category", ["sent"], since=AT)["2"].total("sent", "skipped") == 6


def test_a_series_has_a_value_for_every_step_and_a_line_for_everything_that_happened() -> None:
    count({EMAIL: 1, SMS: 4})
    count({EMAIL: 10}, AT + 3 * MINUTE)

    drawn = reading.series(["sent"], since=AT, until=AT + 5 * MINUTE)

    assert drawn.step == MINUTE
    assert drawn.at == [AT.replace(second=0) + n * MINUTE for n in range(5)]
    assert drawn.lines == {"email": [1, 0, 0, 10, 0], "sms": [4, 0, 0, 0, 0]}


@pytest.mark.parametrize(
    ("span", "step"),
    [
        (timedelta(hours=1), MINUTE),
        (timedelta(hours=6), timedelta(minutes=10)),
        (timedelta(days=1), timedelta(minutes=30)),
        (timedelta(days=7), timedelta(hours=3)),
        (timedelta(days=30), timedelta(days=1)),
        (timedelta(days=365), timedelta(days=7)),
        (timedelta(days=2000), timedelta(days=91)),
    ],
)
def test_a_series_of_any_span_has_sixty_steps_and_a_begun_one_at_most_and_counts_all_of_it(
    span: timedelta, step: timedelta
) -> None:
    since = AT - span
    for at in (since, AT - span / 2, AT - MINUTE):
        count({EMAIL: 1}, at)

    drawn = reading.series(["sent"], since=since, until=AT)

    assert (drawn.step, sum(drawn.lines["email"])) == (step, 3)
    assert 20 <= len(drawn.at) <= 61
    assert drawn.at[0] <= since < drawn.at[0] + step


def test_a_series_can_tell_outcomes_reasons_and_the_whole_apart() -> None:
    count({EMAIL: 1, SKIPPED: 8, FAILED: 16})
    span = {"since": AT, "until": AT + MINUTE}

    assert reading.series(["sent", "failed"], by="outcome", **span).lines == {"sent": [1], "failed": [16]}
    assert reading.series(["failed", "skipped"], by="reason", **span).lines == {"rejected": [16], "no_address": [8]}
    assert reading.series(["failed", "skipped"], by="", **span).lines == {"": [24]}


def test_without_an_end_a_span_goes_up_to_the_running_minute() -> None:
    now = database_now()
    count({EMAIL: 3}, now)

    assert reading.tallies(since=now).total("sent") == 3
    assert reading.series(["sent"], since=now - 10 * MINUTE).lines["email"][-1] == 3


def test_a_quantile_is_the_latency_that_its_share_did_not_exceed() -> None:
    count({took(0.1): 90, took(2): 9, took(60): 1})

    (everything,) = reading.latency(since=AT).values()

    assert everything.count == 100
    assert everything.quantile(0.5) == pytest.approx(0.1, rel=0.26)
    assert everything.quantile(0.95) == pytest.approx(2, rel=0.26)
    assert everything.quantile(1) == pytest.approx(60, rel=0.26)


def test_latency_is_told_apart_and_over_time() -> None:
    count({took(0.1): 1, took(2, SMS): 1})
    count({took(4): 1}, AT + MINUTE)

    by_channel = reading.latency(since=AT, by="channel")
    drawn = reading.latency_series(since=AT, until=AT + 3 * MINUTE, quantiles=[0.5], where=Where(channel="email"))

    assert {name: one.count for name, one in by_channel.items()} == {"email": 2, "sms": 1}
    assert drawn.lines["0.5"] == [pytest.approx(0.1, rel=0.26), pytest.approx(4, rel=0.26), None]


def test_where_nothing_was_sent_no_latency_is_made_up() -> None:
    (nothing,) = reading.latency(since=AT).values()

    assert (nothing.count, nothing.quantile(0.5)) == (0, None)
    assert reading.latency(since=AT, by="channel") == {}


def test_a_ranking_begins_with_the_greatest_and_is_bounded() -> None:
    count({EMAIL: 1, BACKUP: 2, SMS: 4, FAILED: 16, SKIPPED: 8})

    assert reading.top("source", ["sent"], since=AT) == [("api:abc", 6), ("campaign:1", 1)]
    assert reading.top("category", ["sent"], since=AT) == [("2", 6), ("1", 1)]
    assert reading.top("provider", ["sent"], since=AT, limit=1) == [("gate", 4)]
    assert reading.top("reason", ["failed", "skipped"], since=AT, where=Where(channel="sms")) == [
        ("rejected", 16), ("no_address", 8),
    ]  # fmt: skip


def test_the_last_minute_of_an_outcome_is_found() -> None:
    count({EMAIL: 1})
    count({SMS: 1}, AT + 3 * MINUTE)

    assert reading.last_at("sent", since=AT) == AT.replace(second=0) + 3 * MINUTE
    assert reading.last_at("sent", since=AT, where=Where(source="campaign:1")) == AT.replace(second=0)
    assert reading.last_at("failed", since=AT) is None
