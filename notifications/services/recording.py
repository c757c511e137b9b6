"""How results become rows: one UPDATE per kind of result, COPY lines for events and dead letters."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db.backends.utils import CursorWrapper

from core.ids import uuid7
from notifications import bulk
from notifications.choices import EventType
from notifications.models.dead_letter import DeadCause
from notifications.models.outbox import MAX_DELIVERIES
from notifications.services import tracking_sql as sql
from notifications.services.claims import Result

EVENT_COLUMNS = "id, delivery_id, type, at, attempt, provider, code, detail"
DEAD_LETTER_COLUMNS = "delivery_id, channel, priority, provider, cause, code, detail, created_at, replayed_by"
#: Characters of a provider's explanation that the timeline keeps.
MAX_DETAIL = 500


class Why(NamedTuple):
    """Who said so, why in our words (SkipReason, FailureCode or DeadCause), and why in theirs."""

    provider: str = ""
    code: str = ""
    detail: str = ""


NOBODY = Why()


def event_line(delivery: UUID, type: EventType, at: datetime, why: Why = NOBODY, attempt: int = 0) -> str:
    """A COPY line of EVENT_COLUMNS."""
    return (
        f"{uuid7()}\t{delivery}\t{type.value}\t{at.isoformat()}\t{attempt}\t{bulk.text(why.provider)}\t"
        f"{bulk.text(why.code)}\t{bulk.text(why.detail[:MAX_DETAIL])}"
    )


def result_lines(results: Sequence[Result], now: datetime) -> list[str]:
    at = now.isoformat()
    return [
        f"{uuid7()}\t{r.claim.id}\t{r.type.value}\t{at}\t{r.claim.attempt}\t{r.provider}\t{r.code}\t"
        f"{bulk.text(r.detail[:MAX_DETAIL]) if r.detail else ''}"
        for r in results
    ]


def dead_letter_line(id: UUID, lane: tuple[str, str], cause: DeadCause, failed: Why) -> str:
    """A COPY line of DEAD_LETTER_COLUMNS; `lane` is (channel, priority)."""
    channel, priority = lane
    return (
        f"{id}\t{channel}\t{priority}\t{failed.provider}\t{cause.value}\t{failed.code}\t"
        f"{bulk.text(failed.detail[:MAX_DETAIL])}\tnow\t"
    )


def _record_sent(cursor: CursorWrapper, group: Sequence[Result]) -> None:
    by_provider: dict[str, list[Result]] = {}
    for result in group:
        by_provider.setdefault(result.provider, []).append(result)
    for provider, some in by_provider.items():
        message_ids = [r.provider_message_id[:128] for r in some]
        cursor.execute(sql.SENT, [provider, bulk.uuid_array(r.claim.id for r in some), message_ids, *_span(some)])


def _record_skipped(cursor: CursorWrapper, group: Sequence[Result]) -> None:
    columns = bulk.uuid_array(r.claim.id for r in group), [r.code for r in group]
    cursor.execute(sql.SKIPPED, [*columns, *_span(group)])


def _record_failed(cursor: CursorWrapper, group: Sequence[Result]) -> None:
    columns = bulk.uuid_array(r.claim.id for r in group), [r.code for r in group], [r.provider for r in group]
    cursor.execute(sql.FAILED, [*columns, *_span(group)])


def _record_deferred(cursor: CursorWrapper, group: Sequence[Result]) -> None:
    columns = [
        bulk.uuid_array(r.claim.id for r in group),
        [r.code for r in group],
        [r.provider for r in group],
        [r.claim.attempt for r in group],
    ]
    cursor.execute(sql.DEFERRED, [*columns, *_span(group)])
    still_ours = {row[0] for row in cursor.fetchall()}
    schedule = bulk.Schedule(MAX_DELIVERIES)
    for result in group:
        if result.claim.id in still_ours:
            schedule.add(result.claim.channel, result.claim.priority, result.claim.id, delay=result.retry_in)
    schedule.write(cursor)


def _record_dead(cursor: CursorWrapper, group: Sequence[Result]) -> None:
    columns = bulk.uuid_array(r.claim.id for r in group), [r.code for r in group], [r.provider for r in group]
    cursor.execute(sql.DEAD, [*columns, *_span(group)])
    ended = {row[0] for row in cursor.fetchall()}
    letters = [
        dead_letter_line(
            r.claim.id, (r.claim.channel, r.claim.priority), DeadCause.EXHAUSTED, Why(r.provider, r.code, r.detail)
        )
        for r in group
        if r.claim.id in ended
    ]
    bulk.copy(cursor, "notifications_deadletter", DEAD_LETTER_COLUMNS, letters)


def _span(group: Sequence[Result]) -> tuple[str, str]:
    """The lowest and the highest id: lets the planner leave out the other weeks' partitions."""
    ids = [r.claim.id for r in group]
    return str(min(ids)), str(max(ids))


RECORDERS = {
    EventType.SENT: _record_sent,
    EventType.SKIPPED: _record_skipped,
    EventType.FAILED: _record_failed,
    EventType.DEFERRED: _record_deferred,
    EventType.DEAD: _record_dead,
}
