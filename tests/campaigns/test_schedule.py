"""Moments: of a wall clock that jumps and turns back, of rules that recur, and of a throttle."""

import itertools
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns.pacing import Pace
from campaigns.schedule import Rule, local_moment

ZONES = sorted(available_timezones() - {"localtime", "Factory"})
DAYS = st.dates(date(2020, 1, 1), date(2037, 12, 31))
TIMES = st.times().map(lambda at: at.replace(microsecond=0))
START = datetime(2026, 1, 1, tzinfo=UTC)


class TestLocalMoment:
    @given(day=DAYS, at=TIMES, name=st.sampled_from(ZONES))
    def test_the_wall_clock_shows_it_or_had_jumped_over_it(self, day, at, name):
        moment = local_moment(day, at, name)
        shown = moment.astimezone(ZoneInfo(name)).replace(tzinfo=None)
        wanted = datetime.combine(day, at)

        if shown != wanted:  # a gap: later by what was left out, and a second earlier the clock had not got there
            assert timedelta(0) < shown - wanted <= timedelta(days=1)
            before = (moment - (shown - wanted)).astimezone(ZoneInfo(name)).replace(tzinfo=None)
            assert before < wanted
        else:  # of two times, the first
            earlier = [moment - timedelta(minutes=minutes) for minutes in (30, 60, 120)]
            assert all(one.astimezone(ZoneInfo(name)).replace(tzinfo=None) != wanted for one in earlier)

    @pytest.mark.parametrize(
        ("day", "at", "zone", "utc"),
        [
            (date(2026, 3, 29), time(2, 30), "Europe/Berlin", datetime(2026, 3, 29, 1, 30, tzinfo=UTC)),  # a gap
            (date(2026, 10, 25), time(2, 30), "Europe/Berlin", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),  # twice
            (
                date(2026, 4, 5),
                time(1, 45),
                "Australia/Lord_Howe",
                datetime(2026, 4, 4, 14, 45, tzinfo=UTC),
            ),  # by 30 min
            (date(2011, 12, 30), time(9), "Pacific/Apia", datetime(2011, 12, 30, 19, tzinfo=UTC)),  # a day left out
            (date(2026, 1, 1), time(9), "Mars/Olympus", datetime(2026, 1, 1, 9, tzinfo=UTC)),
        ],
    )
    def test_known_days(self, day, at, zone, utc):
        assert local_moment(day, at, zone) == utc


RULES = st.builds(
    Rule,
    recurrence=st.sampled_from(["daily", "weekly", "monthly"]),
    on=st.sets(st.integers(1, 7), min_size=1),
    at=TIMES,
    zone=st.sampled_from(ZONES),
)


class TestRule:
    @given(rule=RULES, after=st.datetimes(datetime(2020, 1, 1), datetime(2037, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001  hypothesis adds the zone
    def test_occurrences_rise_and_each_falls_on_a_day_of_the_rule(self, rule, after):
        moments = [after]
        for _ in range(4):
            following = rule.next(moments[-1])
            assert following is not None
            assert following > moments[-1]
            moments.append(following)

        longest = {"daily": 2, "weekly": 8, "monthly": 32}[rule.recurrence]
        assert all(b - a <= timedelta(days=longest) for a, b in itertools.pairwise(moments[1:]))

    def test_a_day_that_a_month_lacks_is_its_last(self):
        rule = Rule("monthly", [31], time(9), "Europe/Berlin")
        moments = [START]
        for _ in range(4):
            moments.append(rule.next(moments[-1]))

        assert [(m.month, m.day, m.hour) for m in moments[1:]] == [(1, 31, 8), (2, 28, 8), (3, 31, 7), (4, 30, 7)]

    def test_it_ends_with_its_last_day(self):
        rule = Rule("weekly", [4], time(9), "UTC", until=date(2026, 1, 8))

        assert rule.next(START) == datetime(2026, 1, 1, 9, tzinfo=UTC)
        assert rule.next(datetime(2026, 1, 8, 8, tzinfo=UTC)) == datetime(2026, 1, 8, 9, tzinfo=UTC)
        assert rule.next(datetime(2026, 1, 8, 9, tzinfo=UTC)) is None


class TestPace:
    @settings(max_examples=50, deadline=None)
    @given(
        per_minute=st.integers(1, 600_000),
        waits=st.lists(st.floats(0.2, 2.0), min_size=1, max_size=20),
        chunk=st.sampled_from([50, 500]),
    )
    def test_no_minute_has_more_than_five_percent_too_many(self, per_minute, waits, chunk):
        """Whatever the runner's own pace, with stops in between: the throttle's own and a long one."""
        pace, now, handed = Pace(per_minute, START, 0), START, []
        while now - START < timedelta(minutes=2):
            now += timedelta(seconds=waits[len(handed) % len(waits)])
            pace = pace.at(now)
            people = min(pace.allowance(now), chunk)
            pace = Pace(per_minute, pace.since, pace.paced + people)
            handed.append((now, people))
            if len(handed) == 30:
                now += timedelta(seconds=40)

        for at, _ in handed:
            window = sum(n for moment, n in handed if at - timedelta(minutes=1) < moment <= at)
            assert window <= max(per_minute * 1.05, per_minute + 1) + 1

    @given(per_minute=st.integers(60, 30_000))
    def test_a_runner_that_keeps_up_hands_out_all_it_may(self, per_minute):
        pace, handed = Pace(per_minute, START, 0), 0
        for half_second in range(1, 241):
            now = START + timedelta(seconds=half_second / 2)
            pace = pace.at(now)
            people = min(pace.allowance(now), 500)
            pace = Pace(per_minute, pace.since, pace.paced + people)
            handed += people

        assert per_minute * 2 * 0.95 - 1 <= handed <= per_minute * 2 + 1
