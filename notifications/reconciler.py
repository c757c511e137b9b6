"""The reconciler: finds deliveries that nothing would ever send, and puts them back into the outbox.

Every delivery that has not ended is reachable from the outbox, the broker or a lease. The broker redelivers what a dead
worker had in hand and the claim re-schedules what another holds, so in calm weather this finds nothing. What it does
find is logged as a warning, stands in each delivery's timeline, and is counted with the other outcomes as "rescued".

It reads the record once, in key order and in pages, behind a cursor that stays `settings.RECONCILE_AFTER_SECONDS`
behind the present, and starts over every `settings.RECONCILE_FULL_SECONDS`. The cursor always moves on: a lane that
nobody serves must not keep the others' lost work waiting. No index on the status is needed, so that the hot path's
updates stay HOT.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction
from django.db.backends.utils import CursorWrapper

from core import ids
from core.ids import floor
from core.postgresql.direct import KeyArray, direct_cursor
from notifications import bulk, erasure, messaging
from notifications.errors import BrokerUnavailable
from notifications.models import MaintenanceState
from notifications.models.outbox import MAX_DELIVERIES
from notifications.services import tracking_sql as sql
from notifications.services.tracking import DeliveryTracker

log = structlog.get_logger(__name__)

#: Deliveries read in one step: some 0.2 s of work, so that a step never holds anyone up, a stop least of all.
PAGE = 20_000
#: What may wait in the broker is passed over, and the record read again after this many seconds. Long enough for most
#: backlogs to be worked off, and short against RECONCILE_FULL_SECONDS, as by then it may turn out to be lost.
RECHECK_SECONDS = 600

_BOUNDARY = """
    SELECT id FROM notifications_delivery WHERE id > $1 AND id < $2 ORDER BY id OFFSET $3 LIMIT 1
"""

_UNFINISHED = """
    SELECT d.id, d.channel, d.priority, d.notification_id FROM notifications_delivery d
     WHERE d.id > $1 AND d.id <= $2
       AND (d.status = 'queued' OR (d.status = 'sending' AND d.lease_until < now()))
       AND d.created_at < now() - $3::float8 * interval '1 second'
"""

_IN_OUTBOX = "SELECT x FROM notifications_outbox, unnest(delivery_ids) AS x WHERE x = ANY($1::uuid[])"

#: What stands in for the foreign keys. In steps with plain lists of ids, which are always found through the primary
#: keys: a join with a partitioned table is planned as a scan of the whole record. The lists travel as the literals that
#: PostgreSQL made of them, as 20,000 UUIDs are slow to read into Python and to write out again.
_NOTIFICATIONS = """
    SELECT coalesce(array_agg(DISTINCT notification_id), '{}')::text, count(DISTINCT notification_id)
      FROM notifications_delivery WHERE id > $1 AND id <= $2
"""
_RECIPIENTS = """
    SELECT coalesce(array_agg(DISTINCT recipient_id), '{}')::text, count(*)
      FROM notifications_notification WHERE id = ANY($1::uuid[])
"""
_ORPHANS = """
    SELECT count(*) FROM notifications_delivery
     WHERE id > $1 AND id <= $2 AND notification_id = ANY(ARRAY(
           SELECT unnest($3::uuid[]) EXCEPT SELECT id FROM notifications_notification WHERE id = ANY($3::uuid[])))
"""
_GONE = """
    SELECT coalesce(array_agg(id), '{}')::text, count(*)
      FROM (SELECT unnest($1::uuid[]) EXCEPT SELECT id FROM preferences_recipient WHERE id = ANY($1::uuid[])) gone (id)
"""
_THEIRS = "SELECT id FROM notifications_notification WHERE id = ANY($1::uuid[]) AND recipient_id = ANY($2::uuid[])"


@dataclass(frozen=True, slots=True)
class Sweep:
    """What one step did. `rescued` went back into the outbox; `orphans` have lost their notification (the check that
    stands in for a foreign key); `more` says that a further page waits."""

    rescued: int = 0
    orphans: int = 0
    more: bool = False


class Reconciler:
    """One page per step, under an advisory lock: a second maintenance process finds the page taken and does nothing.

    Make one for each way to the present: only its first step asks whether to start over, so that a sweep that takes
    longer than the time between two still gets to the end.
    """

    def __init__(self) -> None:
        self._under_way = False

    def step(self) -> Sweep:
        """Look at one page. Nothing is done, and the page comes again, when only the broker could tell and is away."""
        try:
            with transaction.atomic(), direct_cursor() as cursor:
                cursor.execute("SELECT pg_try_advisory_xact_lock(hashtext('carillon.reconciler')), now()")
                mine, now = cursor.fetchone()
                return self._sweep(cursor, now) if mine else Sweep()
        except BrokerUnavailable:
            return Sweep()

    def _sweep(self, cursor: CursorWrapper, now: datetime) -> Sweep:
        state, _ = MaintenanceState.objects.get_or_create(task="reconciler")
        start = self._start(state, now)
        end = floor(now - timedelta(seconds=settings.RECONCILE_AFTER_SECONDS))
        if start >= end:
            return Sweep()
        cursor.execute(_BOUNDARY, [start, end, PAGE - 1])
        boundary = cursor.fetchone()
        page = start, ids.uuid(boundary[0]) if boundary else end
        cursor.execute(_UNFINISHED, [*page, float(settings.RECONCILE_AFTER_SECONDS)])
        stranded = self._unreachable(cursor, cursor.fetchall())
        busy = _busy_lanes() if stranded else set()
        lost = [row for row in stranded if (row[1], row[2]) not in busy]
        self._put_back(cursor, lost)
        orphans = self._check_references(cursor, page)
        state.cursor, state.done_at = page[1], now if start.int == 0 else state.done_at
        if len(lost) < len(stranded):
            state.done_at = now - timedelta(seconds=max(0, settings.RECONCILE_FULL_SECONDS - RECHECK_SECONDS))
        state.save(update_fields=["cursor", "done_at"])
        self._under_way = boundary is not None
        return Sweep(len(lost), orphans, more=boundary is not None)

    def _start(self, state: MaintenanceState, now: datetime) -> UUID:
        full_due = now - state.done_at > timedelta(seconds=settings.RECONCILE_FULL_SECONDS)
        return UUID(int=0) if state.cursor is None or (full_due and not self._under_way) else state.cursor

    def _unreachable(self, cursor: CursorWrapper, rows: list[Any]) -> list[Any]:
        """The rows that do not stand in the outbox."""
        if not rows:
            return []
        cursor.execute(_IN_OUTBOX, [KeyArray.of([row[0] for row in rows])])
        scheduled = {row[0] for row in cursor.fetchall()}
        return [row for row in rows if row[0] not in scheduled]

    def _put_back(self, cursor: CursorWrapper, rows: list[Any]) -> None:
        if not rows:
            return
        # Due at its time to be sent, else now: quiet hours and the steps of a plan are asked about again at the claim.
        to_come = sql.of_record(cursor, sql.TO_COME, {row[3] for row in rows})
        schedule = bulk.Schedule(MAX_DELIVERIES)
        for id, channel, priority, notification in rows:
            send_at = to_come[notification][1] if notification in to_come else None
            schedule.add(channel, priority, id, due_at=send_at)
        schedule.write()
        DeliveryTracker().rescued(cursor, [(id, notification, channel) for id, channel, _, notification in rows])
        log.warning("reconciler.rescued", deliveries=len(rows))

    def _check_references(self, cursor: CursorWrapper, page: tuple[UUID, UUID]) -> int:
        """Blank what was accepted for someone in the moment they were erased; returns the deliveries on this page that
        have lost their notification."""
        cursor.execute(_NOTIFICATIONS, page)
        notifications, expected = cursor.fetchone()
        cursor.execute(_RECIPIENTS, [notifications])
        recipients, found = cursor.fetchone()
        cursor.execute(_GONE, [recipients])
        gone, erased = cursor.fetchone()
        if erased:
            cursor.execute(_THEIRS, [notifications, gone])
            if blanked := erasure.blank(cursor, [row[0] for row in cursor.fetchall()]):
                log.warning("reconciler.blanked", notifications=blanked)
        if found == expected:
            return 0
        cursor.execute(_ORPHANS, [*page, notifications])
        orphans: int = cursor.fetchone()[0]
        log.error("reconciler.orphans", deliveries=orphans)
        return orphans


def _busy_lanes() -> set[tuple[str, str]]:
    """Lanes with messages waiting in the broker: what is queued there is reachable. Raises BrokerUnavailable."""
    return {lane for lane, depth in messaging.depths().items() if depth}
