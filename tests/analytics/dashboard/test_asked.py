"""What an address of the dashboard asks for."""

from datetime import UTC, datetime, timedelta

import pytest

from analytics.dashboard.asked import Asked, BadQuestion

NOW = datetime(2026, 3, 1, 14, 30, 20, tzinfo=UTC)


def asked(**query: str) -> Asked:
    return Asked.of(query, NOW)


def test_without_a_word_it_is_the_last_hour_with_the_running_minute():
    one = asked()

    assert (one.since, one.until) == (
        datetime(2026, 3, 1, 13, 31, tzinfo=UTC),
        datetime(2026, 3, 1, 14, 31, tzinfo=UTC),
    )
    assert one.is_live
    assert one.elapsed == 59 * 60 + 20


@pytest.mark.parametrize(
    ("name", "minutes"), [("15m", 15), ("6h", 360), ("24h", 1440), ("7d", 10_080), ("30d", 43_200)]
)
def test_a_range_has_its_length_and_the_period_before_is_as_long(name: str, minutes: int):
    one = asked(range=name)
    since, until = one.before

    assert one.length == until - since == timedelta(minutes=minutes)
    assert until == one.since


def test_a_span_of_ones_own_is_over():
    one = asked(
        since="2026-02-01T10:00", until="2026-02-01T12:30", channel="sms", category="7", provider="simulated_sms"
    )

    assert (one.since, one.until) == (datetime(2026, 2, 1, 10, tzinfo=UTC), datetime(2026, 2, 1, 12, 30, tzinfo=UTC))
    assert not one.is_live
    assert one.elapsed == 9000
    assert (one.where.channel, one.where.category_id, one.where.provider) == ("sms", 7, "simulated_sms")


def test_a_span_that_reaches_into_the_future_ends_now():
    assert asked(since="2026-03-01T14:00", until="2027-01-01T00:00").until == datetime(2026, 3, 1, 14, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    "query",
    [
        {"range": "forever"},
        {"since": "yesterday"},
        {"since": "2026-13-01T00:00"},
        {"since": "2026-03-01T14:00", "until": "2026-03-01T13:00"},
        {"since": "2026-03-02T00:00"},
        {"since": "2020-01-01T00:00"},
        {"since": "9999-12-31T23:59+00:00"},
        {"channel": "pigeon"},
        {"category": "orders"},
        {"category": "99999999999999999999"},
        {"category": "000000000999999"},  # the number behind the noughts
        {"category": "0" * 9 + "1" * 5000},  # longer than Python makes a number of
        {"category": "٣"},
        {"provider": "nobody"},
    ],
)
def test_what_makes_no_sense_is_said(query: dict[str, str]):
    with pytest.raises(BadQuestion):
        Asked.of(query, NOW)
