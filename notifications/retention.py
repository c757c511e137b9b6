"""Retention: weeks of the record that ended long enough ago are dropped, and first of all looked at.

A notification may be accepted a year before it is due, so age alone does not say that a week is over. A week stays
whole, in all tables, while one of its deliveries is still to be sent.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from uuid import UUID

import structlog
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from core.ids import floor
from notifications import partitions
from notifications.partitions import PATIENCE, SHORT_PATIENCE, TABLES, Week

log = structlog.get_logger(__name__)

_DELIVERIES = "notifications_delivery"
_UNFINISHED = "status IN ('queued', 'sending')"
#: A delivery's id is made a moment after its notification's: the start of a week may belong to the week before.
_STRADDLE = timedelta(minutes=1)


class Retention:
    """Drops old weeks. Remembers what keeps a week, so that a kept one costs one look-up a round and not a scan."""

    def __init__(self) -> None:
        self._keeping: dict[date, UUID] = {}

    def sweep(self, now: datetime, keep_weeks: int) -> Iterator[None]:
        """Consider the weeks that ended more than `keep_weeks` weeks ago, from the oldest, one a step.

        Raises OperationalError when the tables are too busy for a drop; the week is whole then.
        """
        for week in partitions.ended_before(now, keep_weeks):
            if not self._is_kept(week):
                self._drop(week)
            yield

    def _is_kept(self, week: Week) -> bool:
        known = self._keeping.get(week.monday)
        if known is None:
            return False
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT FROM {_DELIVERIES} WHERE id = %s AND {_UNFINISHED}", [known])
            return cursor.fetchone() is not None

    def _drop(self, week: Week) -> None:
        unfinished = drop(week)
        if unfinished:
            self._keeping[week.monday] = unfinished
            log.info("maintenance.week_kept", week=week.suffix, unfinished_delivery=str(unfinished))
        else:
            self._keeping.pop(week.monday, None)
            log.info("maintenance.week_dropped", week=week.suffix)


def drop(week: Week) -> UUID | None:
    """Drop a week from all tables at once, unless one of its deliveries is still to be sent: that one is returned.

    Raises OperationalError when the tables are too busy; nothing has changed then.

    DETACH ... CONCURRENTLY, which would hold up nobody, is refused where there is a default partition and inside a
    transaction. A plain DROP needs each parent to itself for a moment, and everybody else queues behind it; hence the
    patience.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{PATIENCE}'")
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('carillon.retention'))")
        names = [f"{table}_{week.suffix}" for table in TABLES if week.suffix in partitions.existing(table)]
        if not names:
            return None  # another maintenance process was here first
        if f"{_DELIVERIES}_{week.suffix}" in names and (unfinished := _unfinished(cursor, week)):
            return unfinished
        for table in TABLES:
            cursor.execute(f"LOCK TABLE ONLY {table} IN ACCESS EXCLUSIVE MODE")
            cursor.execute(f"SET LOCAL lock_timeout = '{SHORT_PATIENCE}'")
        cursor.execute(f"DROP TABLE {', '.join(names)}")
    return None


def _unfinished(cursor: CursorWrapper, week: Week) -> UUID | None:
    """The first delivery of a week found that has not ended.

    The lock lasts until the transaction ends: a replay or a resumed campaign cannot revive what was looked at. Only
    who writes to this one old week waits. Reading ends at the first one found; a week that can go is read to its end,
    however long that takes.
    """
    table, (_, end) = f"{_DELIVERIES}_{week.suffix}", week.bounds
    margin = floor(week.end + _STRADDLE)
    cursor.execute(f"LOCK TABLE {table} IN SHARE MODE")
    cursor.execute("SET LOCAL statement_timeout = 0")
    cursor.execute(
        f"(SELECT id FROM {table} WHERE {_UNFINISHED} LIMIT 1) UNION ALL"
        f" (SELECT id FROM {_DELIVERIES} WHERE id >= %s AND id < %s AND {_UNFINISHED} LIMIT 1) LIMIT 1",
        [end, str(margin)],
    )
    row = cursor.fetchone()
    return None if row is None else row[0]
