"""The Redis cache of Reach values.

Without Redis: every read is a miss and goes to PostgreSQL, nothing is refused and nothing waits. `core.redis` leaves a
server that hangs alone for a second, so it costs one time-out and not one per batch.

A value may be as old as PREFERENCE_CACHE_SECONDS: when Redis refuses writes, a change in PostgreSQL cannot drop it. So
the cache never decides an opt-out alone; the claim re-reads everyone whose `preferences_changed_at` is younger than
the acceptance less `LOOK_BACK_SECONDS`.
"""

import time
from collections.abc import Iterable, Sequence
from typing import cast

import msgspec
import structlog
from django.conf import settings

from core import redis
from preferences.services.reach import Reach

#: How long a dropped key refuses to be filled. A reader that read PostgreSQL before the change, and comes back with
#: what it read after the drop, finds the key taken; it would have to dawdle longer than this to store the old value.
TOMBSTONE_SECONDS = 30
#: How far before an acceptance a change can lie that the acceptance did not see: the cache's whole lifetime, and a
#: transaction that was open meanwhile.
LOOK_BACK_SECONDS = settings.PREFERENCE_CACHE_SECONDS + 60
#: At most one warning in this time: a Redis that is down is one fact, not one per batch.
WARN_EVERY_SECONDS = 60.0

#: Keys in one round trip; more would not fit into the socket's time-out. Only imports come with more than a batch.
MAX_KEYS = 1000

_TOMBSTONE = b""
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Reach).decode
_log = structlog.get_logger(__name__)


class ReachCache:
    """Read with one MGET per batch, filled and dropped with one pipelined write. Never raises for Redis."""

    def __init__(self) -> None:
        self._warned_at = float("-inf")

    def get(self, external_ids: Sequence[str]) -> dict[str, Reach]:
        """What is cached of these; a value that does not decode is a miss."""
        if not external_ids:
            return {}
        try:
            values = cast(list[bytes | None], redis.client().mget([_key(external_id) for external_id in external_ids]))
        except redis.RedisError as error:
            self._failed(error)
            return {}
        return {
            external_id: reach
            for external_id, value in zip(external_ids, values, strict=True)
            if value and (reach := _decoded(value)) is not None and reach.external_id == external_id
        }

    def fill(self, found: Iterable[Reach]) -> None:
        """Keep these, except where a change has just dropped the key."""
        self._write({reach.external_id: _encode(reach) for reach in found}, settings.PREFERENCE_CACHE_SECONDS, nx=True)

    def drop(self, external_ids: Iterable[str]) -> None:
        """Forget these. A drop that is lost costs freshness, never an opt-out: the claim looks again."""
        self._write(dict.fromkeys(external_ids, _TOMBSTONE), TOMBSTONE_SECONDS, nx=False)

    def _write(self, values: dict[str, bytes], seconds: int, *, nx: bool) -> None:
        items = list(values.items())
        try:
            for start in range(0, len(items), MAX_KEYS):
                with redis.client().pipeline(transaction=False) as pipeline:
                    for external_id, value in items[start : start + MAX_KEYS]:
                        pipeline.set(_key(external_id), value, ex=seconds, nx=nx)
                    pipeline.execute()
        except redis.RedisError as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        now = time.monotonic()
        if now - self._warned_at >= WARN_EVERY_SECONDS:
            self._warned_at = now
            _log.warning("preference_cache_unavailable", error=type(error).__name__)


def _key(external_id: str) -> str:
    return redis.key("reach", external_id)


def _decoded(value: bytes) -> Reach | None:
    try:
        return _decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
