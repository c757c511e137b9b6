"""The one query behind every figure: counters of a span, added up by what is asked for.

Which table is read follows from what is asked: the one of totals where neither a source nor a category plays a part.
Its cells cover the span, the largest where they fit and those of minutes at its ends, and one statement reads them all:
cells that are made meanwhile say the same as those they are made from, so nothing is counted twice or missed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from django.db import connection

from analytics.models import RollupMark
from analytics.rollups import spans
from analytics.rollups.figures import Where
from analytics.rollups.spans import Marks, Piece
from notifications import latency

#: What counts may be told apart by. A category is told by its id, in digits; "" is everything, under the name "".
By = Literal["", "source", "category", "channel", "provider", "outcome", "reason"]

_COLUMNS: dict[By, str] = {
    "": "''",
    "source": "source",
    "category": "category_id::text",
    "channel": "channel",
    "provider": "provider",
    "outcome": "outcome",
    "reason": "reason",
}


@dataclass(frozen=True, slots=True)
class Table:
    """A table of cells, and the sizes that can be had of it, minutes included."""

    name: str
    sizes: tuple[int, ...]


TOTALS = Table("analytics_totalcell", spans.CELLS)
CATEGORIES = Table("analytics_categorycell", spans.CELLS)
SOURCES = Table("analytics_sourcecell", tuple(size for size in spans.CELLS if size != 10))


def marks() -> Marks:
    """How far the tiers are now. Marks only ever move on, and what they say of the past stays true for an hour."""
    rows = RollupMark.objects.values_list("step", "rolled_until", "kept_since")
    return Marks({n: at for n, at, _ in rows if at}, {n: at for n, _, at in rows if at})


class View:
    """What can be read for a question: told apart by `columns`, narrowed by `where`."""

    def __init__(self, columns: Sequence[By], where: Where) -> None:
        self.columns, self.where = columns, where
        if where.source or "source" in columns:
            self.table = SOURCES
        elif where.category_id is not None or "category" in columns:
            self.table = CATEGORIES
        else:
            self.table = TOTALS
        self.marks = marks()

    def window(self, since: datetime, until: datetime | None) -> tuple[datetime, datetime]:
        """The span that can be told exactly."""
        return self.marks.window(since, until or spans.FOREVER, self.table.sizes)

    def step(self, since: datetime, until: datetime, points: int) -> int:
        """The step of a chart of this window, in minutes."""
        finest = self.marks.finest(since, self.table.sizes)
        minutes = spans.MAX_CELLS if self.where.source else spans.MAX_MINUTES  # of one source they are few
        return spans.step_for(since, until, points, self.table.sizes, finest, minutes=minutes)

    def sums(
        self, since: datetime, until: datetime, outcomes: Sequence[str] = (), *, step: int = 0
    ) -> list[tuple[Any, ...]]:
        """Rows of (*columns, count) over a window; with `step`, of (when it begins, *columns, count). `outcomes`: these
        alone; none: all but latencies, which are no outcome of their own."""
        bins = ["date_bin(%(step)s, at, %(origin)s)"] if step else []
        chosen = [*bins, *(_COLUMNS[name] for name in self.columns)]
        # By the id itself: its digits are made once for a row of the answer, and not for every cell.
        groups = ", ".join(c.removesuffix("::text") if "::" in c else str(n) for n, c in enumerate(chosen, 1))
        cells, params = self._cells(since, until, outcomes, step)
        params |= {"step": timedelta(minutes=step), "origin": spans.ORIGIN}
        query = f"SELECT {', '.join(chosen)}, sum(count)::bigint FROM ({cells}) cells GROUP BY {groups}"
        return _rows(query, params)

    def last(self, since: datetime, outcomes: Sequence[str]) -> datetime | None:
        """When the last cell with such an outcome began."""
        cells, params = self._cells(*self.window(since, None), outcomes, 0)
        found: datetime | None = _rows(f"SELECT max(at) FROM ({cells}) cells", params)[0][0]
        return found

    def _cells(
        self, since: datetime, until: datetime, outcomes: Sequence[str], step: int
    ) -> tuple[str, dict[str, Any]]:
        """The cells of a window, as a query and its parameters. Those of a chart lie each in one of its steps."""
        sizes = [size for size in self.table.sizes if not step or step % size == 0]
        narrowed, params = self._conditions(outcomes)
        queries = []
        for n, piece in enumerate(spans.pieces(since, until, self.marks, sizes) or [Piece(1, since, since)]):
            params |= {f"since_{n}": piece.since, f"until_{n}": piece.until, f"size_{n}": piece.size}
            queries.append(self._piece(n, piece, narrowed))
        return " UNION ALL ".join(queries), params

    def _piece(self, n: int, piece: Piece, narrowed: str) -> str:
        columns = dict.fromkeys(_COLUMNS[name] for name in self.columns if name)  # asked for twice, it is there once
        if piece.size == 1:
            source, at = "analytics_minutecount", "minute"
            span = f"minute >= %(since_{n})s AND minute < %(until_{n})s"
        else:
            source, at = self.table.name, "at"
            span = f"step = %(size_{n})s AND at >= %(since_{n})s AND at < %(until_{n})s"
        named = ", ".join([f"{at} AS at", *(c.removesuffix("::text") for c in columns), "count"])
        return f"SELECT {named} FROM {source} WHERE {span}{narrowed}"

    def _conditions(self, outcomes: Sequence[str]) -> tuple[str, dict[str, Any]]:
        """What a cell must be to be added up, and the parameters."""
        params: dict[str, Any] = {"outcomes": list(outcomes) or [latency.OUTCOME]}
        found = " AND outcome = ANY(%(outcomes)s)" if outcomes else " AND outcome <> ALL(%(outcomes)s)"
        for name in ("source", "category_id", "channel", "provider"):
            if (wanted := getattr(self.where, name)) not in ("", None):
                params[name] = wanted
                found += f" AND {name} = %({name})s"
        return found, params


#: Around a query: PostgreSQL knows nothing yet of the newest minutes, takes them for few and would sort them, which
#: takes three times as long as hashing. Said in the query's own round trip, and taken back for a transaction around it.
_HASH, _SORT = "SET LOCAL enable_sort = off", "SET LOCAL enable_sort = on"


def _rows(query: str, params: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(f"{_HASH}; {query}; {_SORT}", params)
        cursor.nextset()
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows
