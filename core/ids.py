"""UUIDv7 (RFC 9562): keys that sort by the time they were made, and double as time ranges over a table.

The record tables are partitioned by ranges of these ids, so a point in time is a point in the key space:
`floor(t)` is the smallest id a row made at `t` can have.
"""

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from uuid import UUID

import uuid_utils.compat as _uuid

_VERSION_AND_VARIANT = (0x7 << 76) | (0b10 << 62)
_RANDOM_BITS = ~((0xFFFF_FFFF_FFFF << 80) | (0xF << 76) | (0b11 << 62)) & ((1 << 128) - 1)


def uuid7() -> UUID:
    """A new time-ordered id."""
    return _uuid.uuid7()


def milliseconds(moment: datetime) -> int:
    """Unix time in whole milliseconds, as a UUIDv7 carries it. `moment` must be aware."""
    return int(moment.timestamp() * 1000)


def floor(moment: datetime) -> UUID:
    """The smallest id of the millisecond of `moment`, for `id >= floor(t)`; all bits below the time are zero.

    No id is older than 1970: what lies before has the smallest id of all.
    """
    return UUID(int=max(milliseconds(moment), 0) << 80)


def made_at(id: UUID) -> datetime:
    """When an id was made (for a deterministic id: the moment it was derived from)."""
    return datetime.fromtimestamp((id.int >> 80) / 1000, tz=UTC)


def deterministic(moment: datetime, parts: Iterable[object]) -> UUID:
    """The same id for the same moment and parts, wherever and however often it is asked for.

    The moment stands in the time bits, 74 bits of a SHA-256 over the parts in the rest, so the primary key itself
    refuses a second row for the same (campaign, recipient, channel).
    """
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    random = int.from_bytes(digest[:16], "big") & _RANDOM_BITS
    return UUID(int=(milliseconds(moment) << 80) | _VERSION_AND_VARIANT | random)
