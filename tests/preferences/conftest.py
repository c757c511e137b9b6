"""What the tests of this app share: a Redis that counts its round trips, and one that is gone."""

from typing import Any

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from core import redis


class CountingRedis:
    """Passes everything on to the real client and notes each round trip."""

    def __init__(self, client: Any, trips: list[str]) -> None:
        self._client, self._trips = client, trips

    def mget(self, keys: list[str]) -> Any:
        self._trips.append("mget")
        return self._client.mget(keys)

    def register_script(self, source: str) -> Any:
        script = self._client.register_script(source)

        def run(*arguments: Any) -> Any:
            self._trips.append("script")
            return script(*arguments)

        return run


@pytest.fixture
def round_trips(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The Redis round trips from here on."""
    trips: list[str] = []
    real = redis.client
    monkeypatch.setattr(redis, "client", lambda: CountingRedis(real(), trips))
    return trips


@pytest.fixture
def no_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client whose server does not exist."""
    nowhere = Redis(host="127.0.0.1", port=1, socket_connect_timeout=0.25, retry=Retry(NoBackoff(), 0))
    monkeypatch.setattr(redis, "client", lambda: nowhere)
