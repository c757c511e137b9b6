"""DeliveryTracker: the only writer of delivery status and events.

Status moves forward only, and each move is one guarded UPDATE over a batch: what has already moved on is not touched
again, so a message handled twice, a late receipt and a lost worker's late word all end as no-ops. All times are the
database's.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
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
from notifications.services import claiming
from notifications.services import tracking_sql as sql
from notifications.services.claiming import by_id
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
    vendor_text,
)

log = structlog.get_logger(__name__)

__all__ = ["DeliveryTracker", "ProviderReceipt"]

_EVENTS = "notifications_deliveryevent"
#: Lost workers after which a delivery that is out of attempts is called poison.
POISON_RECLAIMS = 3


class DeliveryTracker:
    """Claims work for a worker and records what became of it, a batch at a time."""

    def claim(self, deliveries: Sequence[UUID], *, channel: str, priority: str) -> list[Claim]:
        """Take deliveries for sending, under a lease of `settings.LEASE_SECONDS`.

        Returns those that are this worker's now; the compare-and-set on the status lets one worker win. A delivery
        whose lease ran out is taken over, and its timeline says so. One that another worker still holds goes back into
        the outbox for the moment its lease ends, so that it stays reachable whatever happens to the other worker.
        """
        with transaction.atomic(), connection.cursor() as cursor:
            return claiming.take(
                cursor, deliveries, (channel, priority), lambda rows: self._taken_over(cursor, rows, channel)
            )

    def _taken_over(self, cursor: CursorWrapper, rows: list[tuple[Any, ...]], channel: str) -> list[tuple[Any, ...]]:
        """Note that a lost worker's deliveries were taken over; end those that have no attempt left."""
        log.warning("worker.reclaimed", deliveries=len(rows))
        now = _now(cursor)
        events = [event_line(row[0], EventType.RECLAIMED, now, attempt=row[4] - row[5]) for row in rows]
        bulk.copy(cursor, _EVENTS, EVENT_COLUMNS, events)
        touched = [(row[0], row[1], channel, "", "") for row in rows]
        self._observe_by_notification(cursor, EventType.RECLAIMED, touched, now)
        if spent := [row[0] for row in rows if row[4] - row[5] > settings.MAX_ATTEMPTS]:
            cursor.execute(sql.RECLAIMS, [bulk.uuid_array(spent), sql.since(spent)])
            killers = {id for id, times in cursor.fetchall() if times >= POISON_RECLAIMS}
            self.bury(sorted(killers), cause=DeadCause.POISON, detail="Its workers were lost again and again.")
            unlucky = sorted(set(spent) - killers)
            self.bury(unlucky, cause=DeadCause.EXHAUSTED, detail="Its last worker was lost.")
        return [row for row in rows if row[4] - row[5] <= settings.MAX_ATTEMPTS]

    def test_traffic(self, deliveries: Sequence[UUID]) -> set[UUID]:
        """Which of these are test traffic, in two reads by primary key."""
        with connection.cursor() as cursor:
            owners = by_id(cursor, sql.OWNERS, deliveries)
            tests = by_id(cursor, sql.TESTS, {row[1] for row in owners.values()})
        return {id for id, row in owners.items() if row[1] in tests}

    def postpone(
        self, deliveries: Sequence[UUID], lane: tuple[str, str], delays: Sequence[float], *, alone: bool = False
    ) -> None:
        """Put deliveries that nobody has claimed back into the outbox, each due after its delay (seconds); `lane` is
        (channel, priority). `alone`: they came back from a crash and stay apart from others."""
        schedule = bulk.Schedule(MAX_DELIVERIES)
        for id, delay in zip(deliveries, delays, strict=True):
            if alone:
                schedule.add_alone(*lane, id, delay=delay)
            else:
                schedule.add(*lane, id, delay=delay)
        with connection.cursor() as cursor:
            schedule.write(cursor)

    def rescued(self, cursor: CursorWrapper, rows: Sequence[tuple[UUID, UUID, str]]) -> None:
        """Note and count (delivery, notification, channel) that nothing would ever have sent."""
        now = _now(cursor)
        events = [event_line(row[0], EventType.RESCUED, now) for row in rows]
        bulk.copy(cursor, _EVENTS, EVENT_COLUMNS, events)
        self._observe_by_notification(cursor, EventType.RESCUED, [(*row, "", "") for row in rows], now)

    def record(self, results: Sequence[Result]) -> None:
        """Write down what became of claimed deliveries: status, events, counts, retries and dead letters, at once.

        Safe to repeat after a commit whose answer was lost. A result that comes too late, because the lease ran out
        and another worker went on, leaves no trace; but that a provider took the message always does.
        """
        if not results:
            return
        with transaction.atomic(), connection.cursor() as cursor:
            now = _now(cursor)
            news = [r for (type, *_), group in groups(results).items() for r in record_group(cursor, type, group)]
            bulk.copy(cursor, _EVENTS, EVENT_COLUMNS, result_lines(news, now))
            counts = Counter(
                OutcomeKey(r.claim.source, r.claim.category_id, r.claim.channel, r.provider, r.type.value, r.code)
                for r in news
            )
            _observe(counts, now)

    def receipts(self, receipts: Sequence[ProviderReceipt]) -> int:
        """Apply what providers and people report later: delivered, bounced, complained, opened, clicked.

        Idempotent and in any order; a receipt that changes nothing (late, doubled, unknown id) adds no event. Returns
        how many changed something.
        """
        changed = 0
        with transaction.atomic(), connection.cursor() as cursor:
            owners = self._lock(cursor, {r.delivery_id for r in receipts})
            now = _now(cursor)
            for type, statement in sql.RECEIPTS.items():
                group = {r.delivery_id: r for r in receipts if r.type == type and r.delivery_id in owners}
                if not group:
                    continue
                cursor.execute(statement, [bulk.uuid_array(sorted(group))] * statement.count("%s"))
                rows = cursor.fetchall()
                whys = _redacted(cursor, [group[row[0]] for row in rows], owners)
                events = [event_line(row[0], type, now, whys[row[0]]) for row in rows]
                bulk.copy(cursor, _EVENTS, EVENT_COLUMNS, events)
                touched = [(id, n, channel, group[id].provider, group[id].code) for id, n, channel in rows]
                self._observe_by_notification(cursor, type, touched, now)
                changed += len(rows)
        return changed

    def _lock(self, cursor: CursorWrapper, deliveries: set[UUID]) -> dict[UUID, UUID]:
        """The recipient of each of these deliveries that exists, its row locked."""
        cursor.execute(sql.LOCK, [bulk.uuid_array(sorted(deliveries))])
        return dict(cursor.fetchall())

    def bury(self, deliveries: Sequence[UUID], *, cause: DeadCause, detail: str) -> int:
        """End deliveries whose handling keeps crashing, and list them as dead letters; how many there were."""
        with transaction.atomic(), connection.cursor() as cursor:
            now = _now(cursor)
            cursor.execute(sql.BURY, [bulk.uuid_array(sorted(deliveries))])
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
        too_late = AlreadyLeft(f"Notification {notification_id} has nothing left to cancel.")
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql.CANCEL_NOTIFICATION, [str(notification_id)])
            if not cursor.rowcount:
                raise Notification.DoesNotExist(notification_id)
            cursor.execute(sql.CANCEL_DELIVERIES, [str(notification_id)])
            rows = cursor.fetchall()
            cursor.execute(sql.UNFINISHED, [bulk.uuid_array([notification_id])])
            if not rows and not cursor.fetchall():
                raise too_late
            if rows:
                self._record_cancelled(cursor, rows)
        if not rows:  # all that is left is in a worker's hands; the wish stays on the record for its next claim
            raise too_late
        return len(rows)

    def cancel_range(self, source: str, low: UUID, high: UUID, *, limit: int = 1000) -> tuple[int, UUID | None]:
        """Cancel what is still queued of `limit` notifications of `source` with ids in [low, high).

        Returns how many deliveries were stopped and the id to go on from, None at the end. What is with a provider at
        this moment and comes back to be tried again is stopped by its next claim.
        """
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql.SOURCE_PAGE, [str(low), str(high), source, limit])
            page = [row[0] for row in cursor.fetchall()]
            if not page:
                return 0, None
            cursor.execute(sql.UNFINISHED, [bulk.uuid_array(page)])
            unfinished = cursor.fetchall()
            if unfinished:
                cursor.execute(sql.CANCEL_NOTIFICATIONS, [bulk.uuid_array(sorted({row[1] for row in unfinished}))])
                cursor.execute(sql.CANCEL_QUEUED, [bulk.uuid_array(sorted(row[0] for row in unfinished))])
                cancelled = cursor.fetchall()
                self._record_cancelled(cursor, cancelled)
            else:
                cancelled = []
        return len(cancelled), UUID(int=page[-1].int + 1) if len(page) == limit else None

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
        origin = by_id(cursor, sql.ORIGINS, {row[1] for row in touched})
        counts: Counter[OutcomeKey] = Counter()
        for _, notification, channel, provider, reason in touched:
            if (found := origin.get(notification)) is not None:
                counts[OutcomeKey(found[1], found[2], channel, provider, type.value, reason)] += 1
        _observe(counts, now)


def _now(cursor: CursorWrapper) -> datetime:
    cursor.execute("SELECT now()")
    now: datetime = cursor.fetchone()[0]
    return now


def _redacted(
    cursor: CursorWrapper, receipts: Sequence[ProviderReceipt], owners: Mapping[UUID, UUID]
) -> dict[UUID, Why]:
    """What each receipt says, without the address a vendor may quote; without any words once its owner is gone."""
    talkative = {owners[r.delivery_id] for r in receipts if r.detail}
    known = by_id(cursor, sql.ADDRESSES, talkative)
    whys = {}
    for r in receipts:
        owner = known.get(owners[r.delivery_id])
        detail = vendor_text(r.detail, *owner[1:]) if owner else ""
        whys[r.delivery_id] = Why(r.provider, r.code, detail)
    return whys


def _observe(counts: Counter[OutcomeKey], now: datetime) -> None:
    if counts:
        for observer in registry.observers():
            observer.record(counts, now)
