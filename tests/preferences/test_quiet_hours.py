"""When it is quiet for a person: the pure rule, held against a look at every minute."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preferences.quiet_hours import QuietHours, parsed, quiet_until, told, written

MINUTE = timedelta(minutes=1)
LONGEST = timedelta(hours=25, minutes=1)
#: Days on which clocks are turned: by an hour at 02:00, at midnight, by half an hour; one that leaves out a whole day;
#: and one on which nothing happens.
TURNS = {
    "Europe/Berlin": (date(2026, 3, 29), date(2026, 10, 25)),
    "America/New_York": (date(2026, 3, 8), date(2026, 11, 1)),
    "America/Santiago": (date(2026, 4, 4), date(2026, 9, 5)),
    "Australia/Lord_Howe": (date(2026, 4, 5), date(2026, 10, 4)),
    "Africa/Cairo": (date(2026, 4, 23), date(2026, 10, 29)),
    "Pacific/Apia": (date(2011, 12, 29),),
    "Asia/Kolkata": (date(2026, 7, 1),),
    "UTC": (date(2026, 7, 1),),
}
ZONES = st.sampled_from(sorted(TURNS))
MINUTES = st.integers(0, 1439)
WINDOWS = st.tuples(MINUTES, MINUTES).filter(lambda both: both[0] != both[1])


def is_quiet(hours: QuietHours, at: datetime) -> bool:
    """What a look at the clock on the wall says: the free minutes are those shown, and all of them may be left out."""
    free = {minute % 1440 for minute in range(hours.end, hours.start + (1440 if hours.start < hours.end else 0))}
    last, minute = shown(at - MINUTE, hours.timezone), shown(at, hours.timezone)
    forward = (minute - last) % 1440
    left_out = {(last + n) % 1440 for n in range(1, forward if forward < 720 else 1)}
    return minute not in free and not free <= left_out


def shown(at: datetime, zone: str) -> int:
    wall = at.astimezone(ZoneInfo(zone))
    return wall.hour * 60 + wall.minute


@st.composite
def moments(draw: st.DrawFn) -> tuple[QuietHours, datetime]:
    """A window and a moment within a day and a half of a turn of the clocks."""
    zone = draw(ZONES)
    start, end = draw(WINDOWS)
    day = draw(st.sampled_from(TURNS[zone]))
    noon = datetime.combine(day, time(12), UTC)
    return QuietHours(start, end, zone), noon + timedelta(seconds=draw(st.integers(-36 * 3600, 36 * 3600)))


class TestRule:
    @given(moments())
    def test_the_end_is_to_come_within_a_day_and_then_it_is_quiet_no_longer(self, asked):
        hours, now = asked

        until = quiet_until(hours, now)

        assert (until is not None) == is_quiet(hours, now)
        if until is not None:
            assert now < until <= now + LONGEST
            assert quiet_until(hours, until) is None

    @given(moments())
    @settings(max_examples=60, deadline=None)
    def test_it_agrees_with_a_look_at_every_minute(self, asked):
        hours, now = asked
        now = now.replace(second=0)
        end = now
        while is_quiet(hours, end):
            end += MINUTE

        assert quiet_until(hours, now) == (end if end > now else None)

    @given(WINDOWS, ZONES, st.integers(1_577_836_800, 2_114_380_800))
    def test_it_holds_on_any_day(self, window, zone, second):
        hours, now = QuietHours(*window, zone), datetime.fromtimestamp(second, UTC)

        until = quiet_until(hours, now)

        assert (until is not None) == is_quiet(hours, now)
        assert until is None or (now < until <= now + LONGEST and not is_quiet(hours, until))


BERLIN = "Europe/Berlin"


@pytest.mark.parametrize(
    ("window", "now", "until"),
    [
        # Nothing turned: 22:00 to 07:30 is 20:00 to 05:30 UTC in summer.
        ("22:00-07:30", "2026-07-01T20:00:00Z", "2026-07-02T05:30:00Z"),
        ("22:00-07:30", "2026-07-01T19:59:59Z", None),
        ("22:00-07:30", "2026-07-02T05:29:59Z", "2026-07-02T05:30:00Z"),
        ("22:00-07:30", "2026-07-02T05:30:00Z", None),
        ("13:00-15:00", "2026-07-02T11:10:00Z", "2026-07-02T13:00:00Z"),
        # 29 March: 02:00 becomes 03:00 at 01:00 UTC. The night is an hour shorter.
        ("22:00-07:30", "2026-03-28T22:00:00Z", "2026-03-29T05:30:00Z"),
        ("22:00-02:30", "2026-03-28T22:00:00Z", "2026-03-29T01:00:00Z"),  # its end is left out
        ("02:30-05:00", "2026-03-29T01:00:00Z", "2026-03-29T03:00:00Z"),  # its start is left out
        ("02:10-02:50", "2026-03-29T01:00:00Z", None),  # all of it is
        # 25 October: 03:00 becomes 02:00 at 01:00 UTC. The hour from 02:00 comes twice.
        ("22:00-07:30", "2026-10-24T20:00:00Z", "2026-10-25T06:30:00Z"),
        ("22:00-02:30", "2026-10-24T23:00:00Z", "2026-10-25T00:30:00Z"),
        ("22:00-02:30", "2026-10-25T00:40:00Z", None),
        ("22:00-02:30", "2026-10-25T01:10:00Z", "2026-10-25T01:30:00Z"),
        ("02:15-02:00", "2026-10-24T02:00:00Z", "2026-10-25T00:00:00Z"),  # nearly a whole day
    ],
)  # fmt: skip
def test_the_clock_on_the_wall_decides(window, now, until):
    asked = QuietHours(*parsed(window), BERLIN)

    assert quiet_until(asked, datetime.fromisoformat(now)) == (until and datetime.fromisoformat(until))


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../../etc/passwd", "Europe"])
def test_an_unknown_zone_counts_as_utc(zone):
    asked = QuietHours(*parsed("22:00-06:00"), zone)

    assert quiet_until(asked, datetime(2026, 7, 1, 23, 0, tzinfo=UTC)) == datetime(2026, 7, 2, 6, 0, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "22:00", "22:00-22:00", "24:00-07:00", "22:60-07:00", "10pm-7am", "22:00-07:00-"])
def test_what_is_no_window_is_not_read_as_one(text):
    assert parsed(text) is None


@given(WINDOWS)
def test_a_window_is_read_as_it_is_written(window):
    assert parsed(written(*window)) == window


def test_the_end_is_told_in_their_time_and_in_utc():
    until = datetime(2026, 7, 2, 5, 30, tzinfo=UTC)

    assert told(until, BERLIN) == "Quiet until 07:30 Europe/Berlin (05:30 UTC)"
    assert told(until, "UTC") == told(until, "Mars/Olympus") == "Quiet until 05:30 UTC"
