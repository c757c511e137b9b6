"""The one way to Redis. Short timeouts and no retries: a Redis that hangs costs a quarter of a second, not seven, and
then nothing at all for a second, whoever asks: the cache, the sessions, the limits.

Every caller states what happens without Redis and catches `RedisError`.
"""

import threading
import time
from typing import Any, cast

from django.conf import settings
from django_redis import get_redis_connection
from redis import Connection, ConnectionPool, Redis, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

__all__ = ["PausingPool", "RedisError", "away", "client", "key", "writable"]

#: How long a Redis that did not answer is left alone. Short: the first call afterwards finds it back.
PAUSE_SECONDS = 1.0

_SILENT = (RedisConnectionError, RedisTimeoutError)


class _Reach:
    """What this process knows about the way to Redis."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.paused_until = 0.0
        self.lost = False
        #: When it was last tried whether Redis takes writes, and whether it did.
        self.tried_at = float("-inf")
        self.writable = False

    def failed(self) -> None:
        with self._lock:
            self.lost = True
            self.paused_until = time.monotonic() + PAUSE_SECONDS

    def answered(self) -> None:
        if self.lost:
            with self._lock:
                self.lost = False
                self.paused_until = 0.0


_reach = _Reach()


def client() -> Redis:
    """A pooled client that answers bytes."""
    return cast(Redis, get_redis_connection("default"))


def key(*parts: object) -> str:
    """A namespaced key: `carillon:<parts joined by a colon>`; the prefix isolates installations and test runs."""
    return ":".join((settings.REDIS_PREFIX, *map(str, parts)))


def away() -> bool:
    """Whether the last call of this process found no Redis. False until one was made."""
    return _reach.lost


def writable() -> bool:
    """Whether Redis counts: it is there and takes writes (it may be a read-only replica, or out of memory). Known anew
    every second."""
    now = time.monotonic()
    if now - _reach.tried_at >= PAUSE_SECONDS:
        try:
            _reach.writable = bool(client().set(key("writable"), 1, px=int(PAUSE_SECONDS * 1000)))
        except RedisError:
            _reach.writable = False
        _reach.tried_at = time.monotonic()
    return _reach.writable and not _reach.lost


class _Noticing:
    """A connection that tells the process when Redis is silent, and when it answers again."""

    def connect(self) -> None:
        try:
            super().connect()  # type: ignore[misc]  # a mixin in front of redis-py's connections
        except _SILENT:
            _reach.failed()
            raise

    def read_response(self, *args: Any, **kwargs: Any) -> Any:
        try:
            answer = super().read_response(*args, **kwargs)  # type: ignore[misc]  # likewise
        except _SILENT:
            _reach.failed()
            raise
        _reach.answered()
        return answer


class NoticingConnection(_Noticing, Connection):
    """Over TCP."""


class NoticingSSLConnection(_Noticing, SSLConnection):
    """Over TLS."""


class NoticingUnixConnection(_Noticing, UnixDomainSocketConnection):
    """Over a socket file."""


_NOTICING: dict[type, type] = {
    Connection: NoticingConnection,
    SSLConnection: NoticingSSLConnection,
    UnixDomainSocketConnection: NoticingUnixConnection,
}


class PausingPool(ConnectionPool):
    """Refuses at once while Redis is being left alone."""

    def __init__(self, connection_class: type[Connection] = Connection, **kwargs: Any) -> None:
        super().__init__(connection_class=_NOTICING.get(connection_class, connection_class), **kwargs)

    def get_connection(self, *args: Any, **kwargs: Any) -> Any:
        if time.monotonic() < _reach.paused_until:
            raise RedisConnectionError("Redis did not answer a moment ago and is left alone for a second.")
        return super().get_connection(*args, **kwargs)
