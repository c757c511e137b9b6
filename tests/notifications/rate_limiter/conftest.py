"""Limits by a clock that the test moves, and a Redis that is away."""

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from core import redis
from notifications.services.rate_limiter import RateLimiter
from tests.notifications.rate_limiter.harness import Clock
from tests.servers import free_port


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
