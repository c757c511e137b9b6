"""The reconciler: finds deliveries that nothing would ever send, and puts them back into the outbox.

Every delivery that has not ended is reachable from the outbox, the broker or a lease. The broker redelivers what a dead
worker had in hand and the claim re-schedules what another holds, so in calm weather this finds nothing. What it does
find is counted and logged as a warning.

It reads the record once, in key order and in pages, behind a cursor that stays `settings.RECONCILE_AFTER_SECONDS`
behind the present, and starts over every `settings.RECONCILE_FULL_SECONDS`. No index on the status is needed, so that
the hot path's updates stay HOT.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from core.ids import floor
from notifications import bulk, messaging
from notifications.errors import BrokerUnavailable
from notifications.models import MaintenanceState
from notifications.models.outbox import MAX_DELIVERIES

log = structlog.get_logger(__name__)

#: Deliveries read in one step: some 20 ms of work, so that a step never holds anyone up.
PAGE = 20_000

_BOUNDARY = """
    SELECT id FROM notifications_delivery WHERE id > %s AND id < %s ORDER BY id OFFSET %s LIMIT 1
"""

_UNFINISHED = """
    SELECT d.id, d.channel, d.priority FROM notifications_delivery d
     WHERE d.id > %s AND d.id <= %s
       AND (d.status = 'queued' OR (d.status = 'sending' AND d.lease_until < now()))
       AND d.created_at < now() - %s * interval '1 second'
"""

_IN_OUTBOX = """
    SELECT x FROM notifications_outbox, unnest(delivery_ids) AS x
     WHERE delivery_ids && %s::uuid[] AND x = ANY(%s::uuid[])
"""

_ORPHANS = """
    SELECT count(*) FROM notifications_delivery d
     WHERE d.id > %s AND d.id <= %s
       AND NOT EXISTS (SELECT FROM notifications_notification n WHERE n.id = d.notification_id)
"""


@dataclass(frozen=True, slots=True)
class Sweep:
    """What one step did. `rescued` went back into the outbox; `orphans` have lost their notification (the check that
    stands in for a foreign key); `more` says that a further page waits."""

    rescued: int = 0
    orphans: int = 0
    more: bool = False


class Reconciler:
    """One page per step, under an advisory lock: a second maintenance process finds the page taken and does nothing."""

    def step(self) -> Sweep:
        busy = self._busy_lanes()
        if busy is None:
            return Sweep()
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(hashtext('carillon.reconciler')), now()")
            mine, now = cursor.fetchone()
            return self._sweep(cursor, now, busy) if mine else Sweep()

    def _busy_lanes(self) -> set[tuple[str, str]] | None:
        """Lanes with messages waiting in the broker: what is queued there is reachable. None when nobody can tell."""
        if not messaging.uses_broker():
            return set()
        try:
            return {lane for lane, depth in messaging.depths().items() if depth}
        except BrokerUnavailable:
            return None

    def _sweep(self, cursor: CursorWrapper, now: datetime, busy: set[tuple[str, str]]) -> Sweep:
        state, _ = MaintenanceState.objects.get_or_create(task="reconciler")
        start = self._start(state, now)
        end = floor(now - timedelta(seconds=settings.RECONCILE_AFTER_SECONDS))
        if start >= end:
            return Sweep()
        cursor.execute(_BOUNDARY, [str(start), str(end), PAGE - 1])
        boundary = cursor.fetchone()
        page_end: UUID = boundary[0] if boundary else end
        cursor.execute(_UNFINISHED, [str(start), str(page_end), settings.RECONCILE_AFTER_SECONDS])
        stranded = self._unreachable(cursor, cursor.fetchall())
        waiting = [row for row in stranded if (row[1], row[2]) in busy]
        rescued = [row for row in stranded if (row[1], row[2]) not in busy]
        self._put_back(cursor, rescued)
        cursor.execute(_ORPHANS, [str(start), str(page_end)])
        orphans: int = cursor.fetchone()[0]
        if orphans:
            log.error("reconciler.orphans", deliveries=orphans)
        if not waiting:  # what waits in the broker is looked at again once its lane is empty
            state.cursor, state.done_at = page_end, now if start.int == 0 else state.done_at
            state.save(update_fields=["cursor", "done_at"])
        return Sweep(len(rescued), orphans, more=boundary is not None and not waiting)

    def _start(self, state: MaintenanceState, now: datetime) -> UUID:
        full_due = now - state.done_at > timedelta(seconds=settings.RECONCILE_FULL_SECONDS)
        return UUID(int=0) if state.cursor is None or full_due else state.cursor

    def _unreachable(self, cursor: CursorWrapper, rows: list[Any]) -> list[Any]:
        """The rows that do not stand in the outbox."""
        if not rows:
            return []
        ids = bulk.uuid_array(row[0] for row in rows)
        cursor.execute(_IN_OUTBOX, [ids, ids])
        scheduled = {row[0] for row in cursor.fetchall()}
        return [row for row in rows if row[0] not in scheduled]

    def _put_back(self, cursor: CursorWrapper, rows: list[Any]) -> None:
        if not rows:
            return
        schedule = bulk.Schedule(MAX_DELIVERIES)
        for id, channel, priority in rows:
            schedule.add(channel, priority, id)
        schedule.write(cursor)
        log.warning("reconciler.rescued", deliveries=len(rows))
