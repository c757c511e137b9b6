"""Counters that nobody asks about any more: minutes after days, larger cells after months, the last after a year.

A tier is thinned out only where the next one has all of it. What goes is announced first, by the mark that readers go
by, and deleted by the next call, an hour later: nobody is in the middle of reading it then.
"""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction

from analytics.models import RollupMark
from analytics.rollups import queries, rolling, spans
from core.moments import database_now

#: Rows deleted in one statement, and statements in one call for a tier: the next call goes on.
BATCH = 10_000
BATCHES = 50

#: Days that are further back than anything was counted.
_FOR_EVER = 365 * 100

#: Which sizes must have a moment before a smaller one may lose it.
_NEEDS = {1: (10, 60), 10: (60,), 60: (1440,)}

#: The key begins with the minute, so the oldest rows are its first ones. Rows that somebody else deletes are skipped.
_DELETE_MINUTES = """
    DELETE FROM analytics_minutecount WHERE ctid = ANY(ARRAY(
           SELECT ctid FROM analytics_minutecount WHERE minute < %s
            ORDER BY minute LIMIT %s FOR UPDATE SKIP LOCKED))
"""


def purge() -> int:
    """Delete what is older than the settings COUNTS_... say, oldest first; how many rows. Bounded. Several may run at
    once."""
    return sum(
        _delete_minutes(horizon) if size == 1 else _delete_cells(size, spans.floor(horizon, size))
        for size, horizon in _horizons(database_now()).items()
    )


def days_kept() -> dict[int, int]:
    """Days that the cells of each size are kept: none shorter than a smaller size, none longer than the figures."""
    longest: int = settings.COUNTS_RETENTION_DAYS or _FOR_EVER
    kept, least = {}, 1
    for size, days in (
        (1, settings.COUNTS_MINUTES_DAYS), (10, settings.COUNTS_TEN_MINUTES_DAYS), (60, settings.COUNTS_HOURS_DAYS),
    ):  # fmt: skip
        kept[size] = least = min(max(least, days), longest)
    return kept | {1440: longest, 10_080: longest}


def _horizons(now: datetime) -> dict[int, datetime]:
    """The moment up to which cells of each size may be deleted: where readers have known for a while that they end."""
    days = days_kept()
    end = now - timedelta(days=days[1440])
    with transaction.atomic(), connection.cursor() as cursor:
        if not rolling.lock(cursor):
            return {}
        marks = queries.marks()
        for size, needs in _NEEDS.items():
            safe = min(marks.rolled.get(n, end) for n in needs)
            kept = spans.floor(min(now - timedelta(days=days[size]), safe), 1440)
            if kept > marks.kept.get(size, end):
                RollupMark.objects.update_or_create(step=size, defaults={"kept_since": kept})
    return {size: max(end, marks.kept.get(size, end)) for size in days}


def _delete_minutes(horizon: datetime) -> int:
    deleted = 0
    for _ in range(BATCHES):
        with connection.cursor() as cursor:
            cursor.execute(_DELETE_MINUTES, [horizon, BATCH])
            found = cursor.rowcount
        deleted += found
        if found < BATCH:
            break
    return deleted


def _delete_cells(size: int, horizon: datetime) -> int:
    """A day at a time, the totals last: what they hold tells what the others do."""
    deleted = 0
    for _ in range(BATCHES):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT min(at) FROM analytics_totalcell WHERE step = %s AND at < %s", [size, horizon])
            (first,) = cursor.fetchone()
            if first is None:
                break
            until = min(spans.ceiling(first + spans.MINUTE, 1440), horizon)
            deleted += sum(rolling.delete(cursor, table, size, first, until) for table in reversed(rolling.TABLES))
    return deleted
