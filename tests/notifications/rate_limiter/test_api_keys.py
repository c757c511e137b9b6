"""Limits of API keys, and what all limits share: the rows, the scripts, the figures for people."""

import math

import pytest
from django.conf import LazySettings
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from core import redis
from notifications.models import RateLimit
from notifications.services import limits as limits_module
from notifications.services.limits import LimitCache
from notifications.services.rate_limiter import RateLimiter
from tests.notifications.rate_limiter.harness import (
    SECOND,
    Clock,
    WithoutRedis,
    fresh,
    limit,
    most_in_a_window,
    pauses,
    quickly,
)

pytestmark = pytest.mark.django_db


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


def test_a_redis_that_forgot_the_scripts_is_sent_them_again(limiter: RateLimiter) -> None:
    limit("provider", "mail", 10)
    assert limiter.provider("mail", 3, priority="critical").granted == 3
    redis.client().script_flush()

    assert limiter.provider("mail", 10, priority="critical").granted == 7
    assert not redis.away()


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
