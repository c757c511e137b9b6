"""Many rows at once: the one place that knows COPY's text format, array literals and id ranges.

COPY through the Django cursor writes about ten times as many rows a second as `bulk_create`, and lines joined in Python
about twice as many as psycopg's `write_row`.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from django.db.backends.utils import CursorWrapper

from core.ids import Key
from core.postgresql.direct import KEY_LENGTH, KeyArray, direct_cursor

NULL = r"\N"
_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

# --- COPY in binary: a row is `head` of its columns and a field each ------------------------------------------------

#: A field that is null; the length in front of a key, which makes a field of it; the empty text; false and true.
NO_VALUE = b"\xff\xff\xff\xff"
KEY = KEY_LENGTH
EMPTY = bytes(4)
FALSE, TRUE = b"\0\0\0\1\0", b"\0\0\0\1\1"
_SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"


def head(columns: str) -> bytes:
    """What a row of these columns (separated by commas) begins with: their number."""
    return (columns.count(",") + 1).to_bytes(2)


def text_field(value: str) -> bytes:
    """Of text, varchar and the like. NUL and lone surrogates must have been refused before."""
    raw = value.encode()
    return len(raw).to_bytes(4) + raw


def small_field(value: int) -> bytes:
    """Of smallint."""
    return b"\0\0\0\2" + value.to_bytes(2, signed=True)


def integer_field(value: int) -> bytes:
    """Of integer."""
    return b"\0\0\0\4" + value.to_bytes(4, signed=True)


def moment_field(value: datetime | None) -> bytes:
    """Of timestamptz."""
    if value is None:
        return NO_VALUE
    return b"\0\0\0\x08" + ((value - _EPOCH) // _MICROSECOND).to_bytes(8, signed=True)


def json_field(value: Mapping[str, Any]) -> bytes:
    """Of json, the same bytes for equal objects."""
    return raw_json_field(orjson.dumps(value, option=orjson.OPT_SORT_KEYS) if value else b"{}")


def raw_json_field(raw: bytes) -> bytes:
    """Of json."""
    return len(raw).to_bytes(4) + raw


def copy_rows(cursor: CursorWrapper, table: str, columns: str, rows: Sequence[bytes]) -> None:
    """COPY rows into a table. No rows, no round trip.

    A column that is not named costs nothing and gets its default: the moment a row was made is one of those.
    """
    if not rows:
        return
    # What goes wrong inside a COPY would otherwise come out as psycopg's own error, which nobody above catches.
    statement = f"COPY {table} ({columns}) FROM STDIN (FORMAT binary)"
    with cursor.db.wrap_database_errors, cursor.copy(statement) as stream:
        stream.write(b"".join((_SIGNATURE, *rows, _END)))


# --- COPY in text ---------------------------------------------------------------------------------------------------


def text(value: str) -> str:
    """A string as a COPY field. Characters below space other than tab and line ends must have been refused before."""
    return value.translate(_ESCAPES) if value and not value.isalnum() else value


def json(value: Mapping[str, Any]) -> str:
    """An object as a COPY field for jsonb, the same for equal objects. orjson writes no raw control characters, so only
    backslashes need care."""
    if not value:
        return "{}"
    raw = orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    return raw.replace("\\", "\\\\") if "\\" in raw else raw


def moment(value: datetime | None) -> str:
    return NULL if value is None else value.isoformat()


def uuid_array(ids: Iterable[UUID | Key]) -> str:
    """A uuid[] literal: `{...}`. As one string it costs a tenth of a list adapted element by element."""
    return "{" + ",".join([id.hex() if isinstance(id, bytes) else id.hex for id in ids]) + "}"


def copy(cursor: CursorWrapper, table: str, columns: str, lines: Sequence[str]) -> None:
    """COPY lines of tab-separated fields into a table. No lines, no round trip."""
    if not lines:
        return
    # What goes wrong inside a COPY would otherwise come out as psycopg's own error, which nobody above catches.
    with cursor.db.wrap_database_errors, cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as stream:
        stream.write("\n".join(lines) + "\n")


#: The outbox insert: all ids in one array, and per row lane, moment (null: now, by the database's clock), delay, and
#: which of the ids are its own. Any number of rows in one statement.
_SCHEDULE = """
    INSERT INTO notifications_outbox (channel, priority, due_at, delivery_ids, takes)
    SELECT channel, priority, coalesce(due_at, now()) + coalesce(delay, 0) * interval '1 second',
           ($1::uuid[])[first:last], takes
      FROM unnest($2::text[], $3::text[], $4::timestamptz[], $5::float8[], $6::int[], $7::int[], $8::int[])
        AS row (channel, priority, due_at, delay, first, last, takes)
"""
#: Channel, priority, moment, delay.
_When = tuple[str, str, datetime | None, float | None]


class Schedule:
    """Work to put into the outbox, gathered by lane and moment and written in one statement."""

    def __init__(self, max_deliveries: int) -> None:
        self.max_deliveries = max_deliveries
        self._lanes: dict[_When, list[Key]] = {}
        self._alone: list[tuple[_When, Key]] = []

    def add(
        self,
        channel: str,
        priority: str,
        delivery: Key,
        *,
        due_at: datetime | None = None,
        delay: float | None = None,
    ) -> None:
        """Due at a moment (None: now), or `delay` seconds after it."""
        self._lanes.setdefault((channel, priority, due_at, delay), []).append(delivery)

    def extend(self, channel: str, priority: str, deliveries: Iterable[Key], *, due_at: datetime | None = None) -> None:
        """Many at once, due at a moment (None: now)."""
        self._lanes.setdefault((channel, priority, due_at, None), []).extend(deliveries)

    def add_alone(self, channel: str, priority: str, delivery: Key, *, delay: float) -> None:
        """In a row that is never put together with others: a suspect must not take its neighbours down again."""
        self._alone.append(((channel, priority, None, delay), delivery))

    def write(self) -> None:
        keys = [delivery for _, delivery in self._alone]
        rows = [(*when, n, n, 1) for n, (when, _) in enumerate(self._alone, 1)]
        for when, deliveries in self._lanes.items():
            end = len(keys) + len(deliveries)
            for first in range(len(keys) + 1, end + 1, self.max_deliveries):
                rows.append((*when, first, min(first + self.max_deliveries - 1, end), 0))
            keys += deliveries
        if rows:
            with direct_cursor() as cursor:
                cursor.execute(_SCHEDULE, [KeyArray.of(keys), *(list(column) for column in zip(*rows, strict=True))])
