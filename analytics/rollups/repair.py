"""Counting the events of an hour anew, should its counters ever be wrong."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from analytics.rollups import proof, queries, record, rolling, spans
from analytics.rollups.proof import Discrepancy
from analytics.rollups.spans import Marks
from notifications import partitions

HOUR = timedelta(hours=1)

#: Events whose delivery or notification went with its week.
_ORPHANS = """
    SELECT EXISTS (
        SELECT FROM notifications_deliveryevent e
          LEFT JOIN notifications_delivery d ON d.id = e.delivery_id
          LEFT JOIN notifications_notification n ON n.id = d.notification_id
         WHERE e.id >= %(low)s AND e.id < %(high)s AND e.at >= %(since)s AND e.at < %(until)s AND n.id IS NULL)
"""
_DELETE_MINUTES = """
    DELETE FROM analytics_minutecount
     WHERE minute >= %(since)s AND minute < %(until)s AND outcome = ANY(%(retold)s)
"""
_INSERT_MINUTES = """
    INSERT INTO analytics_minutecount
           (minute, source, category_id, channel, provider, outcome, reason, shard, count)
    SELECT minute, source, category_id, channel, provider, outcome, reason, 0, count FROM retold
"""
_DELETE_CELLS = """
    DELETE FROM {table} WHERE step = %(size)s AND at >= %(since)s AND at < %(until)s AND outcome = ANY(%(retold)s)
"""
_INSERT_CELLS = """
    INSERT INTO {table} (step, at, {columns}, count)
    SELECT %(size)s, date_bin(%(width)s, minute, %(origin)s) AS at, {columns}, sum(count)
      FROM retold GROUP BY at, {columns}
"""
_COLUMNS = "channel, provider, outcome, reason"
_COLUMNS_OF = {
    "analytics_totalcell": _COLUMNS,
    "analytics_categorycell": f"category_id, {_COLUMNS}",
    "analytics_sourcecell": f"source, category_id, {_COLUMNS}",
}


class CannotRebuild(Exception):
    """An hour's counters cannot be counted anew; the message says why, for people."""


def rebuild(hour: datetime) -> list[Discrepancy]:
    """Count the events of an hour anew, into its minutes and every cell it lies in, in one transaction; what was wrong.

    Outcomes that no event tells of ("accepted", "queued", "receipt") stay as they are. Raises CannotRebuild for an hour
    that may still be added to, or of which the record or the counters by the hour are no longer whole.
    """
    hour = spans.floor(hour, 60)
    span = record.span(hour, hour + HOUR)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [rolling.LOCK])
        marks = queries.marks()
        _check(cursor, hour, span, marks)
        wrong = proof.verify(hour, hour + HOUR)
        cursor.execute(f"CREATE TEMP TABLE retold ON COMMIT DROP AS {record.HAPPENED}", span)
        _replace(cursor, span, marks)
        cursor.execute("DROP TABLE retold")
    return wrong


def _check(cursor: CursorWrapper, hour: datetime, span: Mapping[str, Any], marks: Marks) -> None:
    if hour + HOUR > rolling.settled(cursor):
        raise CannotRebuild("It is not over, or a transaction that began in it is still open.")
    if 60 in marks.kept and hour < marks.kept[60]:
        raise CannotRebuild("Counters of its time are kept by the day alone (COUNTS_HOURS_DAYS).")
    cursor.execute(_ORPHANS, span)
    (orphans,) = cursor.fetchone()
    weeks = [partitions.Week.named(suffix).start for suffix in partitions.existing("notifications_deliveryevent")]
    if orphans or hour < min(weeks, default=hour):
        raise CannotRebuild("Its record is no longer whole (RETENTION_WEEKS): what is gone would be counted as nought.")


def _replace(cursor: CursorWrapper, span: Mapping[str, Any], marks: Marks) -> None:
    """Put what the record says in place of what was counted, wherever that is kept."""
    since, until = span["since"], span["until"]
    if since >= marks.kept.get(1, since):
        cursor.execute(_DELETE_MINUTES, span)
        cursor.execute(_INSERT_MINUTES)
    for size in (10, 60):
        if until <= marks.rolled.get(size, since) and since >= marks.kept.get(size, since):
            cell = {**span, "size": size, "width": timedelta(minutes=size), "origin": spans.ORIGIN}
            for table in rolling.tables(size):
                cursor.execute(_DELETE_CELLS.format(table=table), cell)
                cursor.execute(_INSERT_CELLS.format(table=table, columns=_COLUMNS_OF[table]), cell)
    for size in (1440, 10_080):
        begins = spans.floor(since, size)
        if until <= marks.rolled.get(size, since):
            rolling.make(cursor, size, begins, begins + timedelta(minutes=size))
