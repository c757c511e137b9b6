"""Limits of providers: never exceeded, spread over time, and not lifted while Redis is away."""

import heapq
import itertools
import json
import math
import subprocess
import sys

import pytest
from django.conf import LazySettings
from hypothesis import given
from hypothesis import strategies as st

from core import redis
from notifications.models import RateLimit
from notifications.services.rate_limiter import RateLimiter
from tests.notifications.rate_limiter.harness import (
    SECOND,
    SPAN,
    Clock,
    WithoutRedis,
    fresh,
    limit,
    most_in_a_window,
    patterns,
    pauses,
    quickly,
)

pytestmark = pytest.mark.django_db


class TestProviders:
    @pytest.mark.parametrize("kind", [RateLimiter, WithoutRedis])
    def test_no_window_ever_holds_more_than_the_limit(self, kind: type[RateLimiter], settings: LazySettings) -> None:
        settings.RATE_LIMIT_PROCESSES = 1

        @quickly
        @given(pattern=patterns, maximum=st.integers(1, 50))
        def whatever_the_pattern(pattern: list[tuple[int, int, str]], maximum: int) -> None:
            name, clock = fresh(), Clock()
            limit("provider", name, maximum)
            grants = []
            for pause, n, priority in pattern:
                clock.now += pause
                grants.append((clock.now, kind(clock).provider(name, n, priority=priority).granted))

            assert most_in_a_window(grants, SPAN) <= maximum
            others = [grant for grant, ask in zip(grants, pattern, strict=True) if ask[2] != "critical"]
            assert most_in_a_window(others, SPAN) <= maximum - maximum // 10

        whatever_the_pattern()

    @quickly
    @given(pattern=patterns, maximum=st.integers(1, 50))
    def test_this_process_counts_as_redis_does(
        self, settings: LazySettings, pattern: list[tuple[int, int, str]], maximum: int
    ) -> None:
        settings.RATE_LIMIT_PROCESSES = 1
        one, other, clock = fresh(), fresh(), Clock()
        limit("provider", one, maximum)
        limit("provider", other, maximum)

        for pause, n, priority in pattern:
            clock.now += pause
            theirs = RateLimiter(clock).provider(one, n, priority=priority)
            assert WithoutRedis(clock).provider(other, n, priority=priority) == theirs

    @quickly
    @given(jumps=st.lists(st.tuples(pauses, st.integers(-3_000_000, 0)), max_size=40))
    def test_a_server_clock_that_is_set_back_lifts_no_limit(self, jumps: list[tuple[int, int]]) -> None:
        name, clock, real = fresh(), Clock(), 0
        limit("provider", name, 10)
        grants = []
        for pause, jump in jumps:
            real += pause
            clock.now += pause + jump
            grants.append((real, RateLimiter(clock).provider(name, 4, priority="critical").granted))

        assert most_in_a_window(grants, SPAN) <= 10

    def test_a_clock_set_back_by_an_hour_stops_nothing_for_an_hour(self, limiter: RateLimiter, clock: Clock) -> None:
        limit("provider", "mail", 10)
        assert limiter.provider("mail", 10, priority="critical").granted == 10

        clock.pass_(-3600)
        assert limiter.provider("mail", 10, priority="critical").granted == 0
        clock.pass_(1.3)
        assert limiter.provider("mail", 10, priority="critical").granted == 10

    def test_a_limit_gives_nearly_its_number(self, limiter: RateLimiter, clock: Clock) -> None:
        limit("provider", "mail", 1000, 60)
        granted = 0
        for _ in range(6000):
            clock.pass_(0.1)
            granted += limiter.provider("mail", 5, priority="critical").granted

        assert 9700 <= granted <= 11_000  # ten windows, and the one that was empty at first

    def test_both_limits_are_asked_and_what_one_refuses_uses_up_neither(
        self, limiter: RateLimiter, clock: Clock
    ) -> None:
        limit("provider", "mail", 10)
        limit("provider", "text", 10)
        limit("global", "", 12)

        assert limiter.provider("mail", 100, priority="critical").granted == 10
        assert limiter.provider("text", 100, priority="critical").granted == 2
        clock.pass_(1.3)
        assert limiter.provider("text", 10, priority="critical").granted == 10
        assert limiter.provider("mail", 10, priority="critical").granted == 2

    def test_without_a_row_there_is_no_limit_and_no_call(self, untouched: None) -> None:
        limit("provider", "mail", 10)
        RateLimit.objects.create(scope="provider", target="text", max=1, is_on=False)

        assert RateLimiter().provider("text", 1_000_000, priority="low") == (1_000_000, 0.0, 0.0)
        assert RateLimiter().provider("mail", 0, priority="low").granted == 0

    def test_the_rest_is_told_when_it_is_worth_asking_again(self, limiter: RateLimiter, clock: Clock) -> None:
        limit("provider", "mail", 10)
        allowed = limiter.provider("mail", 10, priority="critical")
        refused = limiter.provider("mail", 10, priority="critical")

        assert allowed == (10, 0.0, 0.0)
        assert (refused.granted, refused.per_second) == (0, pytest.approx(10 / 1.275))
        clock.pass_(refused.wait - 0.000_002)
        assert limiter.provider("mail", 1, priority="critical").granted == 0
        clock.pass_(0.000_002)
        assert limiter.provider("mail", 10, priority="critical").granted == 10

    def test_critical_is_never_behind_a_backlog(self, limiter: RateLimiter) -> None:
        limit("provider", "mail", 100)
        for _ in range(20):
            limiter.provider("mail", 500, priority="low")

        assert limiter.provider("mail", 500, priority="low").wait > 100
        assert limiter.provider("mail", 10, priority="critical") == (10, 0.0, 0.0)
        assert limiter.provider("mail", 1, priority="critical").wait < 1.3

    def test_a_million_put_off_come_back_spread_over_time(self, limiter: RateLimiter, clock: Clock) -> None:
        limit("provider", "mail", 2_000)
        back: list[tuple[int, int]] = []
        for _ in range(2000):
            clock.pass_(0.05)
            answer = limiter.provider("mail", 500, priority="low")
            assert answer.wait <= 900
            back.append((clock.now + round(answer.wait * SECOND), 500 - answer.granted))

        # The line moves on with the limit, so nobody comes back together with everybody
        back = sorted((at, put_off) for at, put_off in back if put_off)
        assert sum(put_off for _, put_off in back) > 800_000
        assert most_in_a_window(back, 10 * SECOND) <= 10 * 1800 / 1.275 + 500
        assert back[-1][0] - back[0][0] > 500 * SECOND

    def test_a_backlog_drains_at_the_speed_of_the_limit_and_asks_little(
        self, limiter: RateLimiter, clock: Clock
    ) -> None:
        limit("provider", "mail", 1_000)
        began, order, asked = clock.now, itertools.count(), 0
        due = [(clock.now, next(order), 500) for _ in range(60)]  # (when, tie, messages)
        while due:
            at, _, n = heapq.heappop(due)
            clock.now = max(at, clock.now)
            answer = limiter.provider("mail", n, priority="low")
            asked += 1
            left, at = n - answer.granted, clock.now + math.ceil(answer.wait * SECOND)
            while left:  # a row in the outbox for each 100
                due_at = at + round((n - answer.granted - left) / answer.per_second * SECOND)
                heapq.heappush(due, (due_at, next(order), min(left, 100)))
                left -= min(left, 100)

        ideal = 30_000 / (900 / 1.275)
        assert (clock.now - began) / SECOND <= 1.1 * ideal
        assert asked <= 3 * (30_000 / 100)

    def test_a_changed_number_holds_at_once(self, limiter: RateLimiter) -> None:
        row = limit("provider", "mail", 10)
        limiter.provider("mail", 10, priority="critical")

        row.max = 15
        row.save()
        assert limiter.provider("mail", 10, priority="critical").granted == 5
        row.delete()
        assert limiter.provider("mail", 10, priority="critical").granted == 10

    def test_after_a_flush_counting_starts_anew(self, limiter: RateLimiter) -> None:
        limit("provider", "mail", 10)
        limiter.provider("mail", 10, priority="critical")

        redis.client().delete(*redis.client().keys(redis.key("limit", "*")))

        assert limiter.provider("mail", 10, priority="critical").granted == 10

    def test_keys_end_with_their_window(self) -> None:
        limit("provider", "mail", 10, 3600)
        RateLimiter().provider("mail", 10, priority="critical")

        [key] = redis.client().keys(redis.key("limit", "*"))
        assert 3600 < redis.client().ttl(key) < 3800


class TestProvidersWithoutRedis:
    def test_each_process_keeps_to_its_share(self, no_redis: None, settings: LazySettings) -> None:
        settings.RATE_LIMIT_PROCESSES = 4
        limit("provider", "mail", 100, 3600)

        granted = [RateLimiter().provider("mail", 20, priority="critical").granted for _ in range(4)]

        assert granted == [20, 5, 0, 0]

    def test_a_share_is_at_least_one(self, no_redis: None, settings: LazySettings) -> None:
        settings.RATE_LIMIT_PROCESSES = 4
        limit("provider", "mail", 2, 3600)

        refused = [RateLimiter().provider("mail", 1, priority="low") for _ in range(2)][1]

        assert (refused.granted, refused.wait) == (0, 900.0)

    def test_what_redis_granted_before_is_not_granted_again(
        self, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        limit("provider", "mail", 100, 3600)
        assert RateLimiter().provider("mail", 100, priority="critical").granted == 100

        assert WithoutRedis().provider("mail", 100, priority="critical").granted == 0


CHILD = """
import json, sys, threading, time
import django
django.setup()
from notifications.services.rate_limiter import LIMIT_SLACK_SECONDS, RateLimiter
grants, until = [], time.monotonic() + 4
def ask():
    while time.monotonic() < until:
        before = time.monotonic()
        got = RateLimiter().provider("mail", 7, priority="critical").granted
        called = time.monotonic()
        if called - before <= LIMIT_SLACK_SECONDS:
            grants.append((called, got))
        time.sleep(0.005)
threads = [threading.Thread(target=ask) for _ in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(json.dumps(grants))
"""


@pytest.mark.django_db(transaction=True)
def test_three_processes_of_three_threads_stay_within_one_limit(process_env: dict[str, str]) -> None:
    limit("provider", "mail", 40)
    children = [
        subprocess.Popen([sys.executable, "-c", CHILD], env=process_env, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    said = [child.communicate(timeout=60)[0] for child in children]

    grants = sorted((round(at * SECOND), got) for line in said for at, got in json.loads(line))
    assert sum(got for _, got in grants) >= 80
    assert most_in_a_window(grants, SECOND) <= 40
