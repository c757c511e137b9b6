"""Many rows at once: the one place that knows COPY's text format, array literals and id ranges.

COPY through the Django cursor writes about ten times as many rows a second as `bulk_create`, and lines joined in Python
about twice as many as psycopg's `write_row`.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from django.db.backends.utils import CursorWrapper

NULL = r"\N"
_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


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


def uuid_array(ids: Iterable[UUID]) -> str:
    """A uuid[] literal: `{...}`. As one string it costs a tenth of a list adapted element by element."""
    return "{" + ",".join(map(str, ids)) + "}"


def copy(cursor: CursorWrapper, table: str, columns: str, lines: Sequence[str]) -> None:
    """COPY lines of tab-separated fields into a table. No lines, no round trip."""
    if not lines:
        return
    # What goes wrong inside a COPY would otherwise come out as psycopg's own error, which nobody above catches.
    with cursor.db.wrap_database_errors, cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as stream:
        stream.write("\n".join(lines) + "\n")


#: The outbox insert: lane, moment (null: now, by the database's clock) and ids; any number of rows in one statement.
_SCHEDULE = """
    INSERT INTO notifications_outbox (channel, priority, due_at, delivery_ids, takes)
    SELECT channel, priority, coalesce(due_at, now()) + coalesce(delay, 0) * interval '1 second', ids::uuid[], takes
      FROM unnest(%s::text[], %s::text[], %s::timestamptz[], %s::float8[], %s::text[], %s::int[])
        AS row (channel, priority, due_at, delay, ids, takes)
"""


class Schedule:
    """Work to put into the outbox, gathered by lane and moment and written in one statement."""

    def __init__(self, max_deliveries: int) -> None:
        self.max_deliveries = max_deliveries
        self._lanes: dict[tuple[str, str, datetime | None, float | None], list[UUID]] = {}
        self._alone: list[tuple[str, str, datetime | None, float | None, str, int]] = []

    def add(
        self, channel: str, priority: str, delivery: UUID, *, due_at: datetime | None = None, delay: float | None = None
    ) -> None:
        """Due at a moment (None: now), or `delay` seconds after it."""
        self._lanes.setdefault((channel, priority, due_at, delay), []).append(delivery)

    def add_alone(self, channel: str, priority: str, delivery: UUID, *, delay: float) -> None:
        """In a row that is never put together with others: a suspect must not take its neighbours down again."""
        self._alone.append((channel, priority, None, delay, uuid_array([delivery]), 1))

    def write(self, cursor: CursorWrapper) -> None:
        rows = list(self._alone)
        for (channel, priority, due_at, delay), ids in self._lanes.items():
            for start in range(0, len(ids), self.max_deliveries):
                rows.append((channel, priority, due_at, delay, uuid_array(ids[start : start + self.max_deliveries]), 0))
        if rows:
            cursor.execute(_SCHEDULE, [list(column) for column in zip(*rows, strict=True)])
