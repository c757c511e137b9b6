"""UUIDv7 (RFC 9562): keys that sort by the time they were made, and double as time ranges over a table.

The record tables are partitioned by ranges of these ids, so a point in time is a point in the key space:
`floor(t)` is the smallest id a row made at `t` can have.

Inside the pipeline an id travels as a `Key`, its 16 bytes, which is what PostgreSQL stores and sends. A UUID object
costs a microsecond to make and another to print, and a notification meets a dozen of them; whoever needs one makes it
from the key.
"""

import hashlib
import os
import threading
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from uuid import UUID

import uuid_utils.compat as _uuid

#: The 16 bytes of a UUID. They sort as the UUIDs do.
Key = bytes

#: Keys with one time in front: what the two bytes that number them can hold.
_MAX_KEYS = 1 << 14
_NUMBERS = [(0x8000 | n).to_bytes(2) for n in range(_MAX_KEYS)]  # the variant, and the number


def uuid7() -> UUID:
    """A new time-ordered id."""
    return _uuid.uuid7()


def keys(n: int) -> list[Key]:
    """n new time-ordered ids, ascending, all above those of this process's earlier calls.

    The time to a quarter of a microsecond (RFC 9562 6.2, method 3), then the place in the batch and 48 random bits.
    """
    if n > _MAX_KEYS:
        return keys(_MAX_KEYS) + keys(n - _MAX_KEYS)
    head = _Clock.tick()
    noise = os.urandom(6 * n)
    return [head + number + noise[i : i + 6] for number, i in zip(_NUMBERS[:n], range(0, 6 * n, 6), strict=True)]


class _Clock:
    """The first eight bytes of a batch of keys: milliseconds, the version, and the fraction in 1/4096 of them."""

    _lock = threading.Lock()
    _last = 0

    @classmethod
    def tick(cls) -> bytes:
        with cls._lock:
            cls._last = max(cls._last + 1, (time.time_ns() << 12) // 1_000_000)
            milliseconds, fraction = divmod(cls._last, 4096)
        return ((milliseconds << 16) | 0x7000 | fraction).to_bytes(8)


def uuid(key: Key) -> UUID:
    """The UUID of a key."""
    return UUID(bytes=key)


def key(id: UUID | Key) -> Key:
    """The key of an id, whichever way it was given."""
    return id if isinstance(id, bytes) else id.bytes


def keys_of(uuids: Iterable[UUID]) -> list[Key]:
    """The keys of UUIDs."""
    return [one.bytes for one in uuids]


def milliseconds(moment: datetime) -> int:
    """Unix time in whole milliseconds, as a UUIDv7 carries it. `moment` must be aware."""
    return int(moment.timestamp() * 1000)


def floor(moment: datetime) -> UUID:
    """The smallest id of the millisecond of `moment`, for `id >= floor(t)`; all bits below the time are zero.

    No id is older than 1970: what lies before has the smallest id of all.
    """
    return UUID(int=max(milliseconds(moment), 0) << 80)


def made_at(id: UUID | Key) -> datetime:
    """When an id was made (for a deterministic id: the moment it was derived from)."""
    return datetime.fromtimestamp(int.from_bytes(key(id)[:6]) / 1000, tz=UTC)


def deterministic(moment: datetime, parts: Iterable[object]) -> UUID:
    """The same id for the same moment and parts, wherever and however often it is asked for.

    The moment stands in the time bits, 74 bits of a SHA-256 over the parts in the rest, so the primary key itself
    refuses a second row for the same (campaign, recipient, channel).
    """
    return UUID(bytes=deterministic_key(moment, parts))


def deterministic_key(moment: datetime, parts: Iterable[object]) -> Key:
    """The same as a key."""
    return _hashed(milliseconds(moment).to_bytes(6), "\x1f".join(map(str, parts)).encode())


def derived(parent: Key, number: int) -> Key:
    """The id of the part of this number (less than 65,536) of what has the id `parent`: the same each time, and of the
    same moment, so that both lie in the same week of the record."""
    return _hashed(parent[:6], parent + number.to_bytes(2))


def _hashed(time: bytes, what: bytes) -> Key:
    digest = hashlib.sha256(what).digest()
    return time + bytes((0x70 | digest[6] & 0x0F, digest[7], 0x80 | digest[8] & 0x3F)) + digest[9:16]
