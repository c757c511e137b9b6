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

#: Stands in the key: a process of another version must not take its values for ours, nor ours for its own.
SHAPE = 5

#: Keeps each value for so many seconds; with NX not where there is one already.
_KEEP = """
local seconds, condition = ARGV[1], ARGV[2]
for i = 1, #KEYS do
  if condition == 'NX' then
    redis.call('SET', KEYS[i], ARGV[i + 2], 'EX', seconds, 'NX')
  else
    redis.call('SET', KEYS[i], ARGV[i + 2], 'EX', seconds)
  end
end
"""
_TOMBSTONE = b""
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Reach).decode
_log = structlog.get_logger(__name__)


class ReachCache:
    """Read, filled and dropped in one round trip per batch. Never raises for Redis."""

    def __init__(self) -> None:
        self._warned_at = float("-inf")

    def get(self, external_ids: Sequence[str]) -> dict[str, Reach]:
        """What is cached of these; a value that does not decode is a miss."""
        if not external_ids:
            return {}
        try:
            values = cast(list[bytes | None], redis.client().mget(_keys(external_ids)))
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
        values = {reach.external_id: _encode(reach) for reach in found}
        self._write(values, settings.PREFERENCE_CACHE_SECONDS, "NX")

    def drop(self, external_ids: Iterable[str]) -> None:
        """Forget these. A drop that is lost costs freshness, never an opt-out: the claim looks again."""
        self._write(dict.fromkeys(external_ids, _TOMBSTONE), TOMBSTONE_SECONDS, "")

    def _write(self, values: dict[str, bytes], seconds: int, condition: str) -> None:
        keys, contents = _keys(values), list(values.values())
        try:
            keep = redis.client().register_script(_KEEP)
            for start in range(0, len(keys), MAX_KEYS):
                end = start + MAX_KEYS
                keep(keys[start:end], [seconds, condition, *contents[start:end]])
        except redis.RedisError as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        now = time.monotonic()
        if now - self._warned_at >= WARN_EVERY_SECONDS:
            self._warned_at = now
            _log.warning("preference_cache_unavailable", error=type(error).__name__)


def _keys(external_ids: Iterable[str]) -> list[str]:
    space = redis.key(f"reach{SHAPE}", "")
    return [space + external_id for external_id in external_ids]


def _decoded(value: bytes) -> Reach | None:
    try:
        return _decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
