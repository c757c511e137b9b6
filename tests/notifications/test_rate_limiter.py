"""Limits of providers, people and API keys: exact, atomic, spread over time, and never lifted by an outage.

Time is a number the test moves, except where several processes at once ask Redis by its own clock.
"""

import bisect
import heapq
import itertools
import json
import math
import subprocess
import sys
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.conf import LazySettings
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from core import redis
from notifications.models import RateLimit
from notifications.services import limits as limits_module
from notifications.services.limits import LimitCache
from notifications.services.rate_limiter import LIMIT_SLACK_SECONDS, RateLimiter, RecipientAsk
from tests.servers import free_port

pytestmark = pytest.mark.django_db

SECOND = 1_000_000
SPAN = round((1 + LIMIT_SLACK_SECONDS) * SECOND)
ADA, BOB = UUID(int=1), UUID(int=2)

_names = itertools.count()
quickly = hypothesis_settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class Clock:
    """Microseconds, moved by hand."""

    def __init__(self) -> None:
        self.now = 1_700_000_000 * SECOND

    def __call__(self) -> int:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += math.ceil(seconds * SECOND)


class WithoutRedis(RateLimiter):
    """Finds no Redis."""

    def _run(self, *args: Any) -> None:
        return None


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limiter(clock: Clock) -> RateLimiter:
    return RateLimiter(clock)


@pytest.fixture
def no_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis's address is a closed port."""
    nowhere = Redis(host="127.0.0.1", port=free_port(), socket_connect_timeout=0.25, retry=Retry(NoBackoff(), 0))
    monkeypatch.setattr(redis, "client", lambda: nowhere)


@pytest.fixture
def untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking Redis anything fails the test."""

    def asked() -> None:
        raise AssertionError("Redis was asked")

    monkeypatch.setattr(redis, "client", asked)


def limit(scope: str, target: str, max: int, seconds: int = 1) -> RateLimit:
    return RateLimit.objects.create(scope=scope, target=target, max=max, per_seconds=seconds)


def fresh() -> str:
    """A target nothing was counted for yet: hypothesis runs many examples in one test."""
    return f"target-{next(_names)}"


def most_in_a_window(grants: list[tuple[int, int]], span: int) -> int:
    """The most that any closed window [t, t + span] holds: one that holds the most can begin at a grant."""
    times = [at for at, _ in grants]
    sums = [0, *itertools.accumulate(count for _, count in grants)]
    held = (sums[bisect.bisect_right(times, at + span)] - sums[bisect.bisect_left(times, at)] for at in times)
    return max(held, default=0)


#: Around every border there is: of buckets, windows, and the slack.
pauses = st.one_of(
    st.sampled_from([0, 1, 19_999, 20_000, 24_999, 25_000, 25_001, 250_000, 999_999, 1_000_000, 1_000_001, 1_020_000]),
    st.sampled_from([1_249_999, 1_250_000, 1_250_001, 1_274_999, 1_275_000, 3_000_000, 2_000_000_000]),
    st.integers(0, 2_000_000),
)
priorities = st.sampled_from(["critical", "high", "normal"])
patterns = st.lists(st.tuples(pauses, st.integers(1, 40), priorities), max_size=60)


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


class TestRecipients:
    def ask(self, person: UUID = ADA, category: str = "orders", notification: UUID | None = None) -> RecipientAsk:
        return RecipientAsk(person, category, notification or uuid4())

    def test_a_person_gets_so_many_in_any_window_and_then_again(self, limiter: RateLimiter, clock: Clock) -> None:
        limit("recipient", "", 2, 60)

        assert limiter.recipients([self.ask()]) == [True]
        clock.pass_(30)
        assert limiter.recipients([self.ask()]) == [True]
        clock.pass_(30)
        assert limiter.recipients([self.ask()]) == [False]  # the first is 60 s old to the microsecond
        clock.pass_(0.000_001)
        assert limiter.recipients([self.ask(), self.ask()]) == [True, False]

    def test_the_same_notification_counts_once_on_all_channels_and_in_retries(self, limiter: RateLimiter) -> None:
        limit("recipient", "", 1, 60)
        first, second = uuid4(), uuid4()

        asks = [self.ask(notification=first), self.ask(notification=first), self.ask(notification=second)]

        assert limiter.recipients(asks) == [True, True, False]
        assert limiter.recipients(asks) == [True, True, False]

    def test_a_retry_after_the_window_counts_anew(self, limiter: RateLimiter, clock: Clock) -> None:
        limit("recipient", "", 1, 60)
        first = self.ask()
        limiter.recipients([first])
        clock.pass_(61)

        assert limiter.recipients([first, self.ask()]) == [True, False]

    def test_people_do_not_use_up_each_other_s(self, limiter: RateLimiter) -> None:
        limit("recipient", "", 1, 60)

        assert limiter.recipients([self.ask(ADA), self.ask(BOB), self.ask(ADA)]) == [True, True, False]

    def test_category_and_overall_limit_must_both_allow_and_a_refused_ask_uses_up_neither(
        self, limiter: RateLimiter
    ) -> None:
        limit("recipient", "promotions", 1, 60)
        limit("recipient", "", 3, 60)

        asks = [self.ask(category="promotions") for _ in range(5)] + [self.ask() for _ in range(3)]

        assert limiter.recipients(asks) == [True, False, False, False, False, True, True, False]

    def test_a_category_without_a_limit_asks_nobody(self, untouched: None) -> None:
        limit("recipient", "promotions", 1, 60)

        assert RateLimiter().recipients([self.ask(), self.ask()]) == [True, True]
        assert RateLimiter().recipients([]) == []

    def test_a_batch_is_one_round_trip(self, limiter: RateLimiter, monkeypatch: pytest.MonkeyPatch) -> None:
        limit("recipient", "orders", 5, 60)
        limit("recipient", "", 5, 60)
        limiter.recipients([self.ask(UUID(int=7))])
        real, calls = redis.client(), []

        class Counting:
            def evalsha(self, *args: Any) -> Any:
                calls.append(args)
                return real.evalsha(*args)

        monkeypatch.setattr(redis, "client", Counting)

        assert limiter.recipients([self.ask(UUID(int=100 + n)) for n in range(500)]) == [True] * 500
        assert len(calls) == 1

    def test_without_redis_nobody_can_tell_except_where_there_is_no_limit(self, no_redis: None) -> None:
        limit("recipient", "promotions", 1, 60)

        assert RateLimiter().recipients([self.ask(category="promotions"), self.ask()]) == [None, True]

    def test_keys_end_with_their_window(self) -> None:
        limit("recipient", "", 1, 60)
        RateLimiter().recipients([self.ask()])

        [key] = redis.client().keys(redis.key("limit", "*"))
        assert 55 <= redis.client().ttl(key) <= 61

    @quickly
    @given(pattern=st.lists(st.tuples(st.sampled_from([0, 1, 500_000, 999_999, 1_000_000]), st.integers(0, 8))))
    def test_no_window_holds_more_notifications_than_the_limit(self, pattern: list[tuple[int, int]]) -> None:
        person, clock = uuid4(), Clock()
        RateLimit.objects.update_or_create(scope="recipient", target="", defaults={"max": 3, "per_seconds": 1})
        counted: dict[int, int] = {}  # notification -> when it last counted
        grants = []
        for pause, number in pattern:
            clock.now += pause
            ask = self.ask(person, notification=UUID(int=number))
            repeated = number in counted and counted[number] >= clock.now - SECOND
            [allowed] = RateLimiter(clock).recipients([ask])
            held = sum(at >= clock.now - SECOND for at, _ in grants)
            assert allowed == (repeated or held < 3)
            if allowed and not repeated:
                counted[number] = clock.now
                grants.append((clock.now, 1))
        assert most_in_a_window(grants, SECOND) <= 3


class TestApiKeys:
    @pytest.mark.parametrize("kind", [RateLimiter, WithoutRedis])
    def test_no_window_ever_holds_more_than_the_limit(self, kind: type[RateLimiter], settings: LazySettings) -> None:
        settings.RATE_LIMIT_PROCESSES = 1

        @quickly
        @given(pattern=st.lists(st.tuples(pauses, st.integers(1, 12)), max_size=60), maximum=st.integers(1, 20))
        def whatever_the_pattern(pattern: list[tuple[int, int]], maximum: int) -> None:
            prefix, clock = fresh(), Clock()
            limit("api_key", prefix, maximum)
            limiter, grants = kind(clock), []
            for pause, n in pattern:
                clock.now += pause
                first = limiter.api_key(prefix)
                if not first.allowed:
                    continue
                done = limiter.api_key(prefix, n, counted=1)
                if done.allowed:
                    grants.append((clock.now, n))
                    assert done.remaining == first.remaining - (n - 1)
                elif n <= maximum:
                    assert done.remaining == first.remaining + 1

            assert most_in_a_window(grants, SECOND) <= maximum

        whatever_the_pattern()

    def test_all_or_none_and_told_when_it_fits(self, limiter: RateLimiter, clock: Clock) -> None:
        limit("api_key", "shop", 10, 60)

        assert limiter.api_key("shop", 4) == (True, 10, 6, pytest.approx(61, abs=1.3), 0.0)
        clock.pass_(30)
        limiter.api_key("shop", 4)
        refused = limiter.api_key("shop", 5)

        assert (refused.allowed, refused.limit, refused.remaining) == (False, 10, 2)
        assert 30 <= refused.retry_after <= 31.3
        clock.pass_(refused.retry_after)
        assert limiter.api_key("shop", 5).allowed

    def test_more_than_the_limit_will_never_fit_and_counts_nothing(self, limiter: RateLimiter) -> None:
        limit("api_key", "shop", 10)

        assert limiter.api_key("shop", 11).retry_after == math.inf
        assert limiter.api_key("shop", 10).allowed

    def test_the_row_without_a_target_is_of_each_key_without_a_row_by_itself(self, limiter: RateLimiter) -> None:
        limit("api_key", "", 2)
        limit("api_key", "shop", 5)

        assert [limiter.api_key("app").allowed for _ in range(3)] == [True, True, False]
        assert [limiter.api_key("till").allowed for _ in range(3)] == [True, True, False]
        assert limiter.api_key("shop", 5).allowed

    def test_a_key_without_a_limit_asks_nobody(self, untouched: None) -> None:
        assert RateLimiter().api_key("shop") == (True, 0, 0, 0.0, 0.0)

    def test_without_redis_a_key_has_a_process_s_share(self, no_redis: None, settings: LazySettings) -> None:
        settings.RATE_LIMIT_PROCESSES = 4
        limit("api_key", "shop", 12, 3600)

        answers = [RateLimiter().api_key("shop") for _ in range(4)]

        assert [one.allowed for one in answers] == [True, True, True, False]
        assert answers[3].limit == 12
        assert 3600 <= answers[3].retry_after <= 3700
        assert RateLimiter().api_key("shop", 5).retry_after < math.inf  # with Redis back it would fit


class TestUsed:
    def test_it_tells_what_the_present_window_has_given(self, limiter: RateLimiter, clock: Clock) -> None:
        rows = [limit("provider", "mail", 10), limit("global", "", 100), limit("api_key", "shop", 5)]
        limiter.provider("mail", 4, priority="low")
        limiter.api_key("shop", 2)
        asked = {(row.scope, row.target): limits_module.Limit(row.max, row.per_seconds) for row in rows}

        assert list((limiter.used(asked) or {}).values()) == [4, 4, 2]
        clock.pass_(2)
        assert list((limiter.used(asked) or {}).values()) == [0, 0, 0]
        assert WithoutRedis().used(asked) is None


class TestCache:
    def test_rows_are_read_once_in_a_while(self, monkeypatch: pytest.MonkeyPatch) -> None:
        limit("provider", "mail", 10)
        cache = LimitCache()
        with CaptureQueriesContext(connection) as captured:
            cache.all()
            cache.all()
        RateLimit.objects.update(max=20)
        assert cache.all()["provider", "mail"].max == 10
        monkeypatch.setattr(limits_module, "KEEP_SECONDS", 0.0)

        assert len(captured) == 1
        assert cache.all()["provider", "mail"].max == 20

    def test_without_postgresql_the_last_known_rows_hold(self, monkeypatch: pytest.MonkeyPatch) -> None:
        limit("provider", "mail", 10)
        cache, unread = LimitCache(), LimitCache()
        known = cache.all()
        cache.forget()

        def gone(**_: object) -> None:
            raise OperationalError("the server closed the connection")

        monkeypatch.setattr(RateLimit.objects, "filter", gone)

        assert cache.all() == known
        with pytest.raises(OperationalError):
            unread.all()
