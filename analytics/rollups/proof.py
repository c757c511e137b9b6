"""Proof that the counters tell the truth: they are compared with the events they were counted from, and cells with
what they were made of."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from analytics.rollups import queries, record, rolling, spans
from notifications.observers import OutcomeKey

Counts = Mapping[tuple[datetime, OutcomeKey], int]

_MINUTES = """
SELECT minute AS at, {source} AS source, {category} AS category_id, channel, provider, outcome, reason, count
  FROM analytics_minutecount WHERE minute >= %(since)s AND minute < %(until)s
"""
_CELLS = """
SELECT at, {source} AS source, {category} AS category_id, channel, provider, outcome, reason, count
  FROM {table} WHERE step = {size} AND at >= %(since)s AND at < %(until)s
"""
_SUMMED = """
SELECT date_bin(%(width)s, at, %(origin)s), source, category_id, channel, provider, outcome, reason, sum(count)::bigint
  FROM ({rows}) rows {which} GROUP BY 1, 2, 3, 4, 5, 6, 7
"""
_RETOLD = "WHERE outcome = ANY(%(retold)s)"
#: What each table of cells tells apart, and what it says where it does not.
_TOLD_APART = {
    "analytics_sourcecell": ("source", "category_id"),
    "analytics_categorycell": ("''", "category_id"),
    "analytics_totalcell": ("''", "0"),
}


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """A counter that differs from its events, or a cell from what it was made of. `size` is that of the cell in
    minutes; `happened` is what the count should be."""

    at: datetime
    key: OutcomeKey
    counted: int
    happened: int
    size: int = 1


def verify(since: datetime, until: datetime) -> list[Discrepancy]:
    """Compare counters and events of the whole minutes in [since, until); an empty list is the proof. Where the minutes
    are gone, whole hours are compared.

    Reads the events of that span, so keep it to hours on a busy system, and leave out the minute that is running.
    """
    since, until = spans.floor(since), spans.floor(until)
    kept = max(since, queries.marks().kept.get(1, since))
    hours = spans.floor(since, 60), spans.floor(min(until, kept), 60)
    return [*_with_events(60, *hours), *_with_events(1, kept, until)]


def verify_cells(since: datetime, until: datetime) -> list[Discrepancy]:
    """Compare the cells that lie in [since, until), of every size and table, with what they were made of, as far as
    that is still kept."""
    return [
        difference
        for size, low, high in _complete(since, until)
        for table in _TOLD_APART
        if table in rolling.tables(size)
        for difference in _with_parts(table, size, low, high)
    ]


def _with_events(size: int, since: datetime, until: datetime) -> Iterator[Discrepancy]:
    if since >= until:
        return iter(())
    span = record.span(since, until)
    rows = (_MINUTES if size == 1 else _CELLS).format(
        source="source", category="category_id", table="analytics_sourcecell", size=size
    )
    happened = f"SELECT minute AS at, * FROM ({record.HAPPENED}) events"
    return _differences(_read(rows, size, span, _RETOLD), _read(happened, size, span), size)


def _with_parts(table: str, size: int, since: datetime, until: datetime) -> Iterator[Discrepancy]:
    source, category = _TOLD_APART[table]
    words: dict[str, Any] = {"source": source, "category": category}
    of = rolling.MADE_OF[size]
    parts = _MINUTES if of == 1 else _CELLS
    span = {"since": since, "until": until}
    told = _read(_CELLS.format(table=table, size=size, **words), size, span)
    made_of = _read(parts.format(table="analytics_sourcecell", size=of, **words), size, span)
    return _differences(told, made_of, size)


def _complete(since: datetime, until: datetime) -> Iterator[tuple[int, datetime, datetime]]:
    """Sizes, and the span in which both their cells and those they were made of are there."""
    marks = queries.marks()
    for size, of in rolling.MADE_OF.items():
        kept = [marks.kept[n] for n in (size, of) if n in marks.kept]
        low = spans.ceiling(max([since, *kept]), size)
        high = min(spans.floor(until, size), marks.rolled.get(size, low))
        if low < high:
            yield size, low, high


def _differences(counted: Counts, happened: Counts, size: int) -> Iterator[Discrepancy]:
    for at, key in sorted(counted.keys() | happened.keys()):
        one, other = counted.get((at, key), 0), happened.get((at, key), 0)
        if one != other:
            yield Discrepancy(at, key, one, other, size)


def _read(rows: str, size: int, span: Mapping[str, Any], which: str = "") -> Counts:
    """Rows added up by cells of a size."""
    params: dict[str, Any] = {**span, "width": timedelta(minutes=size), "origin": spans.ORIGIN}
    with connection.cursor() as cursor:
        cursor.execute(_SUMMED.format(rows=rows, which=which), params)
        return {(row[0], OutcomeKey(*row[1:7])): row[7] for row in cursor.fetchall()}
