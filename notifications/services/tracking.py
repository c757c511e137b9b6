"""DeliveryTracker: the only writer of delivery status and events.

Status moves forward only, and each move is one guarded UPDATE over a batch: what has already moved on is not touched
again, so a message handled twice, a late receipt and a lost worker's late word all end as no-ops. All times are the
database's.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from notifications import bulk, registry
from notifications.choices import EventType, SkipReason
from notifications.errors import AlreadyLeft
from notifications.models import DeadLetter, Notification
from notifications.models.dead_letter import DeadCause
from notifications.models.outbox import MAX_DELIVERIES
from notifications.observers import OutcomeKey
from notifications.services import tracking_sql as sql
from notifications.services.claims import Claim, ProviderReceipt, Result
from notifications.services.recording import (
    DEAD_LETTER_COLUMNS,
    EVENT_COLUMNS,
    Why,
    dead_letter_line,
    event_line,
    groups,
    record_group,
    result_lines,
)

log = structlog.get_logger(__name__)

__all__ = ["DeliveryTracker", "ProviderReceipt"]

_EVENTS = "notifications_deliveryevent"
#: Claims of a delivery after which a lost worker is put down to the delivery and no longer to chance.
SUSPECT_ATTEMPTS = 2


class DeliveryTracker:
    """Claims work for a worker and records what became of it, a batch at a time."""

    def claim(self, deliveries: Sequence[UUID], *, channel: str, priority: str) -> list[Claim]:
        """Take deliveries for sending, under a lease of `settings.LEASE_SECONDS`.

        Returns those that are this worker's now; the compare-and-set on the status lets one worker win. A delivery
        whose lease ran out is taken over, and its timeline says so. One that another worker still holds goes back into
        the outbox for the moment its lease ends, so that it stays reachable whatever happens to the other worker.
        """
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql.CLAIM, [settings.LEASE_SECONDS, bulk.uuid_array(deliveries)])
            rows = cursor.fetchall()
            if len(rows) < len(deliveries):
                missed = set(deliveries).difference(row[0] for row in rows)
                rows += self._claim_missed(cursor, missed, channel, priority)
            if not rows:
                return []
            notifications = _by_id(cursor, sql.NOTIFICATIONS, {row[1] for row in rows})
            recipients = _by_id(cursor, sql.RECIPIENTS, {row[2] for row in rows})
            devices = _by_id(cursor, sql.DEVICES, {row[3] for row in rows if row[3]})
        return [
            Claim(channel, priority, row, notifications.get(row[1]), recipients.get(row[2]), devices.get(row[3]))
            for row in rows
        ]

    def _claim_missed(
        self, cursor: CursorWrapper, missed: set[UUID], channel: str, priority: str
    ) -> list[tuple[Any, ...]]:
        """The rare part of a claim: what was not simply queued."""
        ids = bulk.uuid_array(sorted(missed))
        cursor.execute(sql.HELD, [ids])
        held = cursor.fetchall()
        cursor.execute(sql.RECLAIM, [settings.LEASE_SECONDS, ids])
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        if held:
            self._wait_for_lease(cursor, held, channel, priority)
        return self._taken_over(cursor, rows, channel) if rows else []

    def _wait_for_lease(
        self, cursor: CursorWrapper, held: Sequence[tuple[UUID, float, int]], channel: str, priority: str
    ) -> None:
        """Schedule what another worker holds for the end of its lease. After a second crash each goes alone: one of
        them may be what kills the workers."""
        schedule = bulk.Schedule(MAX_DELIVERIES)
        longest = max(seconds for _, seconds, _ in held) + 1.0
        for id, _, attempts in held:
            if attempts < SUSPECT_ATTEMPTS:
                schedule.add(channel, priority, id, delay=longest)
            else:
                schedule.add_alone(channel, priority, id, delay=longest)
        schedule.write(cursor)
        log.info("worker.held_elsewhere", deliveries=len(held), seconds=round(longest))

    def _taken_over(self, cursor: CursorWrapper, rows: list[tuple[Any, ...]], channel: str) -> list[tuple[Any, ...]]:
        """Note that a lost worker's deliveries were taken over; bury those that outlived too many workers."""
        log.warning("worker.reclaimed", deliveries=len(rows))
        now = _now(cursor)
        events = [event_line(row[0], EventType.RECLAIMED, now, attempt=row[4]) for row in rows]
        bulk.copy(cursor, _EVENTS, EVENT_COLUMNS, events)
        touched = [(row[0], row[1], channel, "", "") for row in rows]
        self._observe_by_notification(cursor, EventType.RECLAIMED, touched, now)
        poison = [row[0] for row in rows if row[4] > settings.MAX_ATTEMPTS]
        if poison:
            self.bury(poison, cause=DeadCause.POISON, detail="Its workers were lost again and again.")
        return [row for row in rows if row[4] <= settings.MAX_ATTEMPTS]

    def record(self, results: Sequence[Result]) -> None:
        """Write down what became of claimed deliveries: status, events, counts, retries and dead letters, at once."""
        if not results:
            return
        with transaction.atomic(), connection.cursor() as cursor:
            now = _now(cursor)
            for (type, *_), group in groups(results).items():
                record_group(cursor, type, group)
            bulk.copy(cursor, _EVENTS, EVENT_COLUMNS, result_lines(results, now))
            counts = Counter(
                OutcomeKey(r.claim.source, r.claim.category_id, r.claim.channel, r.provider, r.type.value, r.code)
                for r in results
            )
            _observe(counts, now)

    def receipts(self, receipts: Sequence[ProviderReceipt]) -> int:
        """Apply what providers and people report later: delivered, bounced, complained, opened, clicked.

        Idempotent and in any order; a receipt that changes nothing (late, doubled, unknown id) adds no event. Returns
        how many changed something.
        """
        changed = 0
        with transaction.atomic(), connection.cursor() as cursor:
            now = _now(cursor)
            for type in sql.RECEIPTS:
                group = {r.delivery_id: r for r in receipts if r.type == type}
                if not group:
                    continue
                cursor.execute(sql.RECEIPTS[type], [bulk.uuid_array(sorted(group))])
                rows = cursor.fetchall()
                events = [
                    event_line(id, type, now, Why(group[id].provider, group[id].code, group[id].detail))
                    for id, _, _ in rows
                ]
                bulk.copy(cursor, _EVENTS, EVENT_COLUMNS, events)
                touched = [(id, n, channel, group[id].provider, group[id].code) for id, n, channel in rows]
                self._observe_by_notification(cursor, type, touched, now)
                changed += len(rows)
        return changed

    def bury(self, deliveries: Sequence[UUID], *, cause: DeadCause, detail: str) -> int:
        """End deliveries whose handling keeps crashing, and list them as dead letters; how many there were."""
        with transaction.atomic(), connection.cursor() as cursor:
            now = _now(cursor)
            cursor.execute(sql.BURY, [bulk.uuid_array(deliveries)])
            rows = cursor.fetchall()
            if not rows:
                return 0
            events = [event_line(row[0], EventType.DEAD, now, Why("", cause.value, detail), row[4]) for row in rows]
            bulk.copy(cursor, _EVENTS, EVENT_COLUMNS, events)
            letters = [dead_letter_line(row[0], (row[2], row[3]), cause, Why("", "", detail)) for row in rows]
            bulk.copy(cursor, "notifications_deadletter", DEAD_LETTER_COLUMNS, letters)
            touched = [(row[0], row[1], row[2], "", cause.value) for row in rows]
            self._observe_by_notification(cursor, EventType.DEAD, touched, now)
        log.error("worker.buried", deliveries=len(rows), cause=cause.value)
        return len(rows)

    def replay(self, dead_letter_ids: Sequence[int], *, by: str) -> int:
        """Give dead deliveries a fresh set of attempts; the number put back. The one step that goes backwards, so it
        is guarded by the dead status, says who asked, and happens once per dead letter."""
        with transaction.atomic(), connection.cursor() as cursor:
            letters = list(
                DeadLetter.objects.select_for_update()
                .filter(id__in=dead_letter_ids, replayed_at=None)
                .values_list("id", "delivery_id")
            )
            now = _now(cursor)
            cursor.execute(sql.REPLAY, [bulk.uuid_array({delivery for _, delivery in letters})])
            rows = cursor.fetchall()
            schedule = bulk.Schedule(MAX_DELIVERIES)
            for id, _, channel, priority in rows:
                schedule.add(channel, priority, id)
            schedule.write(cursor)
            events = [event_line(row[0], EventType.REPLAYED, now, Why(detail=f"by {by}")) for row in rows]
            bulk.copy(cursor, _EVENTS, EVENT_COLUMNS, events)
            self._observe_by_notification(cursor, EventType.REPLAYED, [(r[0], r[1], r[2], "", "") for r in rows], now)
            DeadLetter.objects.filter(id__in=[id for id, _ in letters]).update(replayed_at=now, replayed_by=by)
        return len(rows)

    def cancel(self, notification_id: UUID) -> int:
        """Skip what is still queued; see NotificationService.cancel."""
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql.CANCEL_NOTIFICATION, [str(notification_id)])
            if not cursor.rowcount:
                raise Notification.DoesNotExist(notification_id)
            cursor.execute(sql.CANCEL_DELIVERIES, [str(notification_id)])
            rows = cursor.fetchall()
            if not rows:
                raise AlreadyLeft(f"Notification {notification_id} has nothing left to cancel.")
            self._record_cancelled(cursor, rows)
        return len(rows)

    def cancel_range(self, source: str, low: UUID, high: UUID, *, limit: int = 1000) -> int:
        """Cancel up to `limit` queued deliveries of `source` whose notification ids lie in [low, high); call again
        until it returns 0. For campaigns, whose deterministic ids all share one millisecond."""
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql.CANCEL_RANGE, {"source": source, "low": str(low), "high": str(high), "limit": limit})
            rows = cursor.fetchall()
            self._record_cancelled(cursor, rows)
        return len(rows)

    def _record_cancelled(self, cursor: CursorWrapper, rows: Sequence[tuple[UUID, UUID, str]]) -> None:
        now, reason = _now(cursor), SkipReason.CANCELLED.value
        events = [event_line(row[0], EventType.SKIPPED, now, Why(code=reason)) for row in rows]
        bulk.copy(cursor, _EVENTS, EVENT_COLUMNS, events)
        touched = [(id, notification, channel, "", reason) for id, notification, channel in rows]
        self._observe_by_notification(cursor, EventType.SKIPPED, touched, now)

    def _observe_by_notification(
        self,
        cursor: CursorWrapper,
        type: EventType,
        touched: Sequence[tuple[UUID, UUID, str, str, str]],
        now: datetime,
    ) -> None:
        """Count (delivery, notification, channel, provider, reason) rows whose source has to be looked up."""
        if not touched:
            return
        origin = _by_id(cursor, sql.ORIGINS, {row[1] for row in touched})
        counts: Counter[OutcomeKey] = Counter()
        for _, notification, channel, provider, reason in touched:
            if (found := origin.get(notification)) is not None:
                counts[OutcomeKey(found[1], found[2], channel, provider, type.value, reason)] += 1
        _observe(counts, now)


def _now(cursor: CursorWrapper) -> datetime:
    cursor.execute("SELECT now()")
    now: datetime = cursor.fetchone()[0]
    return now


def _by_id(cursor: CursorWrapper, query: str, wanted: Iterable[UUID]) -> dict[UUID, tuple]:
    ids = sorted(wanted)
    if not ids:
        return {}
    cursor.execute(query, [bulk.uuid_array(ids)])
    return {row[0]: row for row in cursor.fetchall()}


def _observe(counts: Counter[OutcomeKey], now: datetime) -> None:
    if counts:
        for observer in registry.observers():
            observer.record(counts, now)
