"""Limits of people: exact, once per notification, in one round trip."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import redis
from notifications.models import RateLimit
from notifications.services.rate_limiter import RateLimiter, RecipientAsk
from tests.notifications.rate_limiter.harness import (
    SECOND,
    Clock,
    limit,
    most_in_a_window,
    quickly,
)

pytestmark = pytest.mark.django_db

ADA, BOB = UUID(int=1), UUID(int=2)


class TestRecipients:
    def ask(self, person: UUID = ADA, category: str = "orders", notification: UUID | None = None) -> RecipientAsk:
        return RecipientAsk(person.bytes, category, (notification or uuid4()).bytes)

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
