"""Adding counters up into cells: minutes into ten minutes and hours, hours into days, days into weeks.

A cell is made once nothing can be added to it any more, and its mark moves on in the same transaction: whoever reads
finds it complete or not at all. Making it again gives the same, and several processes may do this at once.
"""

import time
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from analytics.models import RollupMark
from analytics.rollups import queries, spans

#: Held by whoever makes cells or marks, to the end of the transaction ("Roll").
LOCK = 0x526F6C6C
#: Seconds after which a call ends and leaves the rest to the next: the tasks of a process take turns.
TURN = 2.0
#: A transaction tells when it began a moment after it did; and one that we may not see into ends within the second.
GRACE = timedelta(seconds=30)
BLIND_GRACE = timedelta(minutes=15)

#: What a size is made of, and how much of it is made at a time, in minutes.
MADE_OF = {10: 1, 60: 1, 1440: 60, 10_080: 1440}
_AT_A_TIME = {10: 60, 60: 60, 1440: 1440, 10_080: 10_080}

#: A counter belongs to the minute in which its transaction began. The moment before which none began that is still
#: open: nothing is added to the minutes before it any more.
_SETTLED = """
    SELECT least(now() - %(grace)s, min(xact_start),
                 min(CASE WHEN query = '<insufficient privilege>' THEN now() - %(blind)s END))
      FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type <> 'autovacuum worker'
"""

_MINUTES = """
    SELECT minute AS at, source, category_id, channel, provider, outcome, reason, count
      FROM analytics_minutecount WHERE minute >= %(since)s AND minute < %(until)s
"""
_CELLS = """
    SELECT at, source, category_id, channel, provider, outcome, reason, count
      FROM analytics_sourcecell WHERE step = %(of)s AND at >= %(since)s AND at < %(until)s
"""
_BY_SOURCE = """
    SELECT %(step)s::smallint AS step, date_bin(%(width)s, at, %(origin)s) AS at, source, category_id, channel,
           provider, outcome, reason, sum(count)::bigint AS count
      FROM counted GROUP BY 2, 3, 4, 5, 6, 7, 8
"""
#: What is told apart is left out step by step, each table made from the rows of the one before.
_MAKE = """
    WITH counted AS ({counted}),
         by_source AS ({by_source}),
         by_category AS (
             INSERT INTO analytics_categorycell (step, at, category_id, channel, provider, outcome, reason, count)
             SELECT step, at, category_id, channel, provider, outcome, reason, sum(count)
               FROM by_source GROUP BY 1, 2, 3, 4, 5, 6, 7 RETURNING *)
    INSERT INTO analytics_totalcell (step, at, channel, provider, outcome, reason, count)
    SELECT step, at, channel, provider, outcome, reason, sum(count) FROM by_category GROUP BY 1, 2, 3, 4, 5, 6
"""
_INSERT_BY_SOURCE = f"""
    INSERT INTO analytics_sourcecell (step, at, source, category_id, channel, provider, outcome, reason, count)
    {_BY_SOURCE} RETURNING *
"""
TABLES = ("analytics_totalcell", "analytics_categorycell", "analytics_sourcecell")


def tables(size: int) -> tuple[str, ...]:
    """The tables that have cells of a size."""
    return TABLES[:2] if size == 10 else TABLES


def roll() -> int:
    """Make the cells that can be made, oldest first, and those of a size before those made of them; how many pieces of
    the past were done. Goes on for a few seconds at most: the next call does the rest."""
    end = time.monotonic() + TURN
    done = 0
    for size in MADE_OF:
        while time.monotonic() < end and _advance(size):
            done += 1
    return done


def make(cursor: CursorWrapper, size: int, since: datetime, until: datetime) -> None:
    """Make the cells of one size in [since, until) from what they are made of, in place of those that are there."""
    for table in reversed(TABLES):
        delete(cursor, table, size, since, until)
    of = MADE_OF[size]
    query = _MAKE.format(
        counted=_MINUTES if of == 1 else _CELLS,
        by_source=_BY_SOURCE if size == 10 else _INSERT_BY_SOURCE,
    )
    span: dict[str, Any] = {"step": size, "width": timedelta(minutes=size), "origin": spans.ORIGIN}
    cursor.execute(query, span | {"of": of, "since": since, "until": until})


def delete(cursor: CursorWrapper, table: str, size: int, since: datetime, until: datetime) -> int:
    """Delete cells of one size in [since, until); how many there were.

    Outcome by outcome: but for the totals, which are few, the index that finds them by their time begins with it.
    """
    span: dict[str, Any] = {"size": size, "since": since, "until": until}
    cursor.execute(
        f"""
        DELETE FROM {table} WHERE step = %(size)s AND at >= %(since)s AND at < %(until)s
           AND outcome = ANY(ARRAY(SELECT DISTINCT outcome FROM analytics_totalcell WHERE step = %(size)s
                                      AND at >= %(since)s AND at < %(until)s))
        """,
        span,
    )
    found: int = cursor.rowcount
    return found


def lock(cursor: CursorWrapper) -> bool:
    """Whether nobody else makes cells now, and will not before this transaction ends."""
    cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
    (free,) = cursor.fetchone()
    return bool(free)


def settled(cursor: CursorWrapper) -> datetime:
    """The moment whose minutes, and those before, are complete: nothing more is added to them."""
    pauses: dict[str, Any] = {"grace": GRACE, "blind": BLIND_GRACE}
    cursor.execute(_SETTLED, pauses)
    moment: datetime = cursor.fetchone()[0]
    return spans.floor(moment)


def _advance(size: int) -> bool:
    """Make the next cells of a size; whether there may be more to make."""
    of, piece = MADE_OF[size], _AT_A_TIME[size]
    with transaction.atomic(), connection.cursor() as cursor:
        if not lock(cursor):
            return False
        # A piece that takes longer than a statement may would be tried for ever, and no minute be deleted any more.
        cursor.execute("SET LOCAL statement_timeout = 0")
        rolled = queries.marks().rolled
        begun = rolled.get(size, spans.ORIGIN)
        limit = spans.floor(settled(cursor) if of == 1 else rolled.get(of, begun), size)
        if limit <= begun:
            return False
        first = _first(cursor, of, begun)
        if first is None or (first := spans.floor(first, size)) >= limit:
            _mark(size, limit)
            return False
        until = min(spans.floor(first, piece) + timedelta(minutes=piece), limit)
        make(cursor, size, first, until)
        _mark(size, until)
        return until < limit


def _first(cursor: CursorWrapper, of: int, since: datetime) -> datetime | None:
    """The first minute or cell from a moment on: a time in which nothing happened is not gone through hour by hour."""
    if of == 1:
        cursor.execute("SELECT min(minute) FROM analytics_minutecount WHERE minute >= %s", [since])
    else:
        cursor.execute("SELECT min(at) FROM analytics_totalcell WHERE step = %s AND at >= %s", [of, since])
    found: datetime | None = cursor.fetchone()[0]
    return found


def _mark(size: int, until: datetime) -> None:
    RollupMark.objects.update_or_create(step=size, defaults={"rolled_until": until})
