"""DeliveryTracker: the only writer of delivery status and events.

Status moves forward only, and each move is one guarded UPDATE over a batch: what has already moved on is not touched
again, so a message handled twice, a late receipt and a lost worker's late word all end as no-ops. All times are the
database's.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction
from django.db.backends.utils import CursorWrapper
from django.db.models.functions import Now

from core import ids
from core.ids import Key
from core.postgresql.direct import KeyArray, direct_cursor
from notifications import bulk, registry
from notifications.choices import BY_CLICK, EventType, SkipReason
from notifications.digests import coming_back
from notifications.digests.taking_back import Taken, take_out
from notifications.errors import AlreadyLeft
from notifications.models import DeadLetter, Notification
from notifications.models.dead_letter import DeadCause
from notifications.models.outbox import MAX_DELIVERIES
from notifications.observers import OutcomeKey
from notifications.services import claiming, engagement, listening
from notifications.services import tracking_sql as sql
from notifications.services.claims import Back, Claim, ProviderReceipt, ReceiptCounts, Result
from notifications.services.recording import (
    DEAD_LETTER_COLUMNS,
    EVENT_COLUMNS,
    NOBODY,
    Why,
    dead_letter_row,
    digests_back,
    event_rows,
    groups,
    outcome_counts,
    record_group,
    redacted,
    result_rows,
)
from notifications.services.tracking_sql import of_record
from notifications.strategies import turns

log = structlog.get_logger(__name__)

__all__ = ["DeliveryTracker", "ProviderReceipt"]

_EVENTS = "notifications_deliveryevent"
#: Lost workers after which a delivery that is out of attempts is called poison.
POISON_RECLAIMS = 3
#: Told of an item that was cancelled while its digest was with a provider, whose answer nobody heard.
MAYBE_GONE = "Its digest may have left with it."


class DeliveryTracker:
    """Claims work for a worker and records what became of it, a batch at a time."""

    def claim(self, deliveries: Sequence[Key], *, channel: str, priority: str) -> list[Claim]:
        """Take deliveries for sending, under a lease of `settings.LEASE_SECONDS`.

        Returns those that are this worker's now; the compare-and-set on the status lets one worker win. A delivery
        whose lease ran out is taken over, and its timeline says so. One that another worker still holds goes back into
        the outbox for the moment its lease ends, so that it stays reachable whatever happens to the other worker.
        """
        with transaction.atomic(), direct_cursor() as cursor:
            return claiming.take(
                cursor, deliveries, (channel, priority), lambda rows: self._taken_over(cursor, rows, channel)
            )

    def _taken_over(self, cursor: CursorWrapper, rows: list[tuple[Any, ...]], channel: str) -> list[tuple[Any, ...]]:
        """Note that a lost worker's deliveries were taken over; end those that have no attempt left."""
        log.warning("worker.reclaimed", deliveries=len(rows))
        _tell(cursor, ((row[0], EventType.RECLAIMED, row[4] - row[5], NOBODY) for row in rows))
        touched = [(row[0], row[1], channel, "", "") for row in rows]
        self._observe_by_notification(cursor, EventType.RECLAIMED, touched)
        wished = coming_back.locked(cursor, {row[1] for row in rows})
        self._come_back(cursor, wished, [Back(row[0], row[1], channel) for row in rows])
        if spent := [row[0] for row in rows if row[4] - row[5] > settings.MAX_ATTEMPTS]:
            cursor.execute(sql.RECLAIMS, [KeyArray.of(spent), sql.since(spent)])
            killers = {id for id, times in cursor.fetchall() if times >= POISON_RECLAIMS}
            self.bury(sorted(killers), cause=DeadCause.POISON, detail="Its workers were lost again and again.")
            unlucky = sorted(set(spent) - killers)
            self.bury(unlucky, cause=DeadCause.EXHAUSTED, detail="Its last worker was lost.")
        return [row for row in rows if row[4] - row[5] <= settings.MAX_ATTEMPTS]

    def test_traffic(self, deliveries: Sequence[Key]) -> set[Key]:
        """Which of these are test traffic, in two reads by primary key."""
        with direct_cursor() as cursor:
            owners = of_record(cursor, sql.OWNERS, deliveries)
            tests = of_record(cursor, sql.TESTS, {row[1] for row in owners.values()})
        return {id for id, row in owners.items() if row[1] in tests}

    def postpone(
        self, deliveries: Sequence[Key], lane: tuple[str, str], delays: Sequence[float], *, alone: bool = False
    ) -> None:
        """Put deliveries that nobody has claimed back into the outbox, each due after its delay (seconds); `lane` is
        (channel, priority). `alone`: they came back from a crash and stay apart from others."""
        schedule = bulk.Schedule(MAX_DELIVERIES)
        for id, delay in zip(deliveries, delays, strict=True):
            if alone:
                schedule.add_alone(*lane, id, delay=delay)
            else:
                schedule.add(*lane, id, delay=delay)
        schedule.write()

    def rescued(self, cursor: CursorWrapper, rows: Sequence[tuple[Key, Key, str]]) -> None:
        """Note and count (delivery, notification, channel) that nothing would ever have sent."""
        _tell(cursor, ((row[0], EventType.RESCUED, 0, NOBODY) for row in rows))
        self._observe_by_notification(cursor, EventType.RESCUED, [(*row, "", "") for row in rows])

    def record(self, results: Sequence[Result]) -> None:
        """Write down what became of claimed deliveries: status, events, counts, retries and dead letters, at once.

        Safe to repeat after a commit whose answer was lost. A result that comes too late, because the lease ran out
        and another worker went on, leaves no trace; but that a provider took the message always does.
        """
        if not results:
            return
        with transaction.atomic(), direct_cursor() as cursor:
            wished = coming_back.locked(cursor, {one.notification for one in digests_back(results)})
            moved = [r for (type, *_), group in groups(results).items() for r in record_group(cursor, type, group)]
            news = [r for r in moved if not r.is_known]
            bulk.copy_rows(cursor, _EVENTS, EVENT_COLUMNS, result_rows(news))
            if news:
                cursor.execute(sql.NOW)
                _observe(outcome_counts(news, cursor.fetchone()[0]))
                listening.tell_results(news)
                turns.after_results(cursor, news)
            self._come_back(cursor, wished, digests_back(moved))

    def receipts(self, receipts: Sequence[ProviderReceipt]) -> ReceiptCounts:
        """Apply what providers and people report later: delivered, bounced, complained, opened, clicked.

        Idempotent and in any order; a receipt that changes nothing (late, doubled, unknown id) adds no event. Returns
        what became of them, by who said it.
        """
        said = Counter(receipt.provider for receipt in receipts)
        applied: Counter[str] = Counter()
        hits = [r for r in receipts if r.type in engagement.TYPES]
        with transaction.atomic(), direct_cursor() as cursor:
            owners = self._lock(cursor, {r.delivery_id.bytes for r in receipts} | engagement.kin(cursor, hits))
            for type, statement in sql.RECEIPTS.items():
                told = {r.delivery_id.bytes: r for r in receipts if r.type == type}
                group = {id: r for id, r in told.items() if id in owners}
                if not group:
                    continue
                after = (sql.since(group),) if type is EventType.COMPLAINED else ()
                cursor.execute(statement, (*sql.within(group), *after))
                rows = cursor.fetchall()
                whys = redacted(cursor, [(owners[row[0]], group[row[0]]) for row in rows])
                _tell(cursor, ((row[0], type, 0, why) for row, why in zip(rows, whys, strict=True)))
                touched = [(id, n, channel, group[id].provider, group[id].code) for id, n, channel in rows]
                self._observe_by_notification(cursor, type, touched)
                applied.update(group[row[0]].provider for row in rows)
            applied.update(self._engage(cursor, hits, owners))
        unknown = Counter(r.provider for r in receipts if r.delivery_id.bytes not in owners)
        return ReceiptCounts(applied, said - applied - unknown, unknown)

    def _engage(
        self, cursor: CursorWrapper, hits: Sequence[ProviderReceipt], owners: Mapping[Key, Key]
    ) -> Iterable[str]:
        """Apply opens and clicks; the tellers of those that changed something."""
        news, people, applied = engagement.apply(cursor, hits, owners)
        whys = redacted(cursor, [(owners[one.delivery], one.receipt) for one in news])
        events = [
            (one.delivery, one.type, 0, Why(one.provider, one.code, "" if one.code == BY_CLICK else why.detail))
            for one, why in zip(news, whys, strict=True)
        ]
        _tell(cursor, events)
        for type in dict.fromkeys(one.type for one in news):
            touched = [(o.delivery, o.notification, o.channel, o.provider, o.code) for o in news if o.type is type]
            self._observe_by_notification(cursor, type, touched)
        self._count(cursor, [(engagement.PEOPLE[o.type], o.notification, o.channel, o.provider, "") for o in people])
        return applied

    def _lock(self, cursor: CursorWrapper, deliveries: set[Key]) -> dict[Key, Key]:
        """The recipient of each of these deliveries that exists, its row locked."""
        if not deliveries:
            return {}
        cursor.execute(sql.LOCK, sql.within(deliveries))
        return dict(cursor.fetchall())

    def bury(self, deliveries: Sequence[Key], *, cause: DeadCause, detail: str) -> int:
        """End deliveries whose handling keeps crashing, and list them as dead letters; how many there were."""
        if not deliveries:
            return 0
        with transaction.atomic(), direct_cursor() as cursor:
            owners = of_record(cursor, sql.OWNERS, deliveries)
            wished = coming_back.locked(cursor, {row[1] for row in owners.values()})
            cursor.execute(sql.BURY, sql.within(deliveries))
            rows = cursor.fetchall()
            if not rows:
                return 0
            _tell(cursor, ((row[0], EventType.DEAD, row[4], Why("", cause.value, detail)) for row in rows))
            letters = [dead_letter_row(row[0], (row[2], row[3]), cause, Why("", "", detail)) for row in rows]
            bulk.copy_rows(cursor, "notifications_deadletter", DEAD_LETTER_COLUMNS, letters)
            touched = [(row[0], row[1], row[2], "", cause.value) for row in rows]
            self._observe_by_notification(cursor, EventType.DEAD, touched)
            self._come_back(cursor, wished, [Back(row[0], row[1], row[2]) for row in rows])
        log.error("worker.buried", deliveries=len(rows), cause=cause.value)
        return len(rows)

    def replay(self, dead_letter_ids: Sequence[int], *, by: str) -> int:
        """Give dead deliveries a fresh set of attempts; the number put back. The one step that goes backwards, so it
        is guarded by the dead status, says who asked, and happens once per dead letter."""
        with transaction.atomic(), direct_cursor() as cursor:
            letters = list(
                DeadLetter.objects.select_for_update()
                .filter(id__in=dead_letter_ids, replayed_at=None)
                .values_list("id", "delivery_id")
            )
            if not letters:
                return 0
            cursor.execute(sql.REPLAY, sql.within({delivery.bytes for _, delivery in letters}))
            rows = cursor.fetchall()
            schedule = bulk.Schedule(MAX_DELIVERIES)
            for id, _, channel, priority in rows:
                schedule.add(channel, priority, id)
            schedule.write()
            _tell(cursor, ((row[0], EventType.REPLAYED, 0, Why(detail=f"by {by}")) for row in rows))
            self._observe_by_notification(cursor, EventType.REPLAYED, [(r[0], r[1], r[2], "", "") for r in rows])
            DeadLetter.objects.filter(id__in=[id for id, _ in letters]).update(replayed_at=Now(), replayed_by=by)
        return len(rows)

    def cancel(self, notification_id: UUID) -> int:
        """Skip what is still queued; see NotificationService.cancel."""
        too_late = AlreadyLeft(f"Notification {notification_id} has nothing left to cancel.")
        with transaction.atomic(), direct_cursor() as cursor:
            taken = take_out(cursor, [notification_id.bytes])
            rows = self._cancel_queued(cursor, taken.unfinished)
            cursor.execute(sql.CANCEL_NOTIFICATION, [notification_id])
            if not cursor.rowcount:
                raise Notification.DoesNotExist(notification_id)
            stopped = len(rows) + len(taken.items)
            if not (taken.unfinished or taken.items or taken.is_wished):
                raise too_late
            self._record_cancelled(cursor, rows, taken)
        if not stopped:  # what is left is with a worker, or given up; the wish stays on the record for its next claim
            raise too_late
        return stopped

    def cancel_range(self, source: str, low: UUID, high: UUID, *, limit: int = 1000) -> tuple[int, UUID | None]:
        """Cancel what is queued or waits in a digest of `limit` notifications of `source` with ids in [low, high).

        Returns how many deliveries were stopped and the id to go on from, None at the end. What is with a provider at
        this moment and comes back to be tried again is stopped by its next claim, and so is what was given up and is
        put back from the dead letters.
        """
        with transaction.atomic(), direct_cursor() as cursor:
            cursor.execute(sql.SOURCE_PAGE, [low, high, source, limit])
            page = [row[0] for row in cursor.fetchall()]
            if not page:
                return 0, None
            taken = take_out(cursor, page)
            cancelled = self._cancel_queued(cursor, taken.unfinished)
            if taken.unfinished or taken.items:
                theirs = {row[1] for row in taken.unfinished} | {row[1] for row in taken.items}
                cursor.execute(sql.CANCEL_NOTIFICATIONS, sql.within(theirs))
            self._record_cancelled(cursor, cancelled, taken)
        return len(cancelled) + len(taken.items), UUID(int=ids.uuid(page[-1]).int + 1) if len(page) == limit else None

    def _cancel_queued(self, cursor: CursorWrapper, unfinished: Sequence[sql.Row]) -> list[tuple[Key, Key, str]]:
        """Skip what is queued among rows that begin with a delivery's id; the (delivery, notification, channel) that
        were."""
        if not unfinished:
            return []
        cursor.execute(sql.CANCEL_QUEUED, sql.within([row[0] for row in unfinished]))
        rows: list[tuple[Key, Key, str]] = cursor.fetchall()
        return rows

    def _record_cancelled(self, cursor: CursorWrapper, rows: Sequence[tuple[Key, Key, str]], taken: Taken) -> None:
        """Tell of (delivery, notification, channel) that a cancel stopped, and of what it took out of digests. With the
        last item of one that is closed the message goes that it was to be sent as."""
        if taken.empty:
            cursor.execute(sql.CANCEL_NOTIFICATIONS, sql.within(taken.empty))
            cursor.execute(sql.UNFINISHED, [KeyArray.of(taken.empty)])
            rows = [*rows, *self._cancel_queued(cursor, cursor.fetchall())]
        self._tell_cancelled(cursor, EventType.SKIPPED, rows)
        self._tell_cancelled(cursor, EventType.WITHDRAWN, taken.items, taken.doubtful)

    def _come_back(self, cursor: CursorWrapper, wished: Mapping[Key, Key], back: Sequence[Back]) -> None:
        """What was cancelled while its digest was in a worker's hands ends as cancelled now."""
        if wished and (late := coming_back.take_out_late(cursor, wished, back)):
            doubtful = {one.delivery for one in late if one.may_have_left}
            self._tell_cancelled(cursor, EventType.WITHDRAWN, [row[:3] for row in late], doubtful)

    def _tell_cancelled(
        self,
        cursor: CursorWrapper,
        type: EventType,
        rows: Sequence[tuple[Key, Key, str]],
        doubtful: Collection[Key] = (),
    ) -> None:
        reason = SkipReason.CANCELLED.value
        known, doubted = Why(code=reason), Why(code=reason, detail=MAYBE_GONE)
        _tell(cursor, ((row[0], type, 0, doubted if row[0] in doubtful else known) for row in rows))
        touched = [(id, notification, channel, "", reason) for id, notification, channel in rows]
        self._observe_by_notification(cursor, type, touched)

    def _observe_by_notification(
        self,
        cursor: CursorWrapper,
        type: EventType,
        touched: Sequence[tuple[Key, Key, str, str, str]],
    ) -> None:
        """Count (delivery, notification, channel, provider, reason) rows whose source has to be looked up, and tell who
        listens to it."""
        origin = self._count(cursor, [(type.value, n, channel, by, why) for _, n, channel, by, why in touched])
        listening.tell_touched(type.value, touched, origin)
        planned = {
            n: id for id, n, _, _, why in touched if n in origin and origin[n][3] and turns.is_in_vain(type, why)
        }
        turns.after(cursor, type, planned)

    def _count(self, cursor: CursorWrapper, touched: Sequence[tuple[str, Key, str, str, str]]) -> Mapping[Key, sql.Row]:
        """Count (outcome, notification, channel, provider, reason) rows whose source has to be looked up; the rows of
        ORIGINS by notification."""
        origin = of_record(cursor, sql.ORIGINS, {row[1] for row in touched})
        counts: Counter[OutcomeKey] = Counter()
        for outcome, notification, channel, provider, reason in touched:
            if (found := origin.get(notification)) is not None:
                counts[OutcomeKey(found[1], found[2], channel, provider, outcome, reason)] += 1
        _observe(counts)
        return origin


def _tell(cursor: CursorWrapper, events: Iterable[tuple[Key, EventType, int, Why]]) -> None:
    """Write events, each of (delivery, type, attempt, why)."""
    bulk.copy_rows(cursor, _EVENTS, EVENT_COLUMNS, event_rows(events))


def _observe(counts: Counter[OutcomeKey]) -> None:
    if counts:
        for observer in registry.observers():
            observer.record(counts)
