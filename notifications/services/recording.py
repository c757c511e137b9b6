"""How results become rows: one UPDATE per kind of result, COPY lines for events and dead letters."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db.backends.utils import CursorWrapper

from core.ids import uuid7
from notifications import bulk
from notifications.choices import EventType, Status
from notifications.models.dead_letter import DeadCause
from notifications.models.outbox import MAX_DELIVERIES
from notifications.services import tracking_sql as sql
from notifications.services.claims import Result

EVENT_COLUMNS = "id, delivery_id, type, at, attempt, provider, code, provider_message_id, detail"
DEAD_LETTER_COLUMNS = "delivery_id, channel, priority, provider, cause, code, detail, created_at, replayed_by"
#: Characters of a provider's explanation that the timeline keeps.
MAX_DETAIL = 500
#: Characters of its name for a message.
MAX_MESSAGE_ID = 128


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
        f"{bulk.text(why.code)}\t\t{bulk.text(why.detail[:MAX_DETAIL])}"
    )


def result_lines(results: Sequence[Result], now: datetime) -> list[str]:
    """A COPY line of EVENT_COLUMNS per result."""
    at = now.isoformat()
    return [
        f"{uuid7()}\t{r.claim.id}\t{r.type.value}\t{at}\t{r.claim.attempt}\t{r.provider}\t{r.code}\t"
        f"{bulk.text(r.provider_message_id[:MAX_MESSAGE_ID])}\t{bulk.text(r.detail[:MAX_DETAIL]) if r.detail else ''}"
        for r in results
    ]


def dead_letter_line(id: UUID, lane: tuple[str, str], cause: DeadCause, failed: Why) -> str:
    """A COPY line of DEAD_LETTER_COLUMNS; `lane` is (channel, priority)."""
    channel, priority = lane
    return (
        f"{id}\t{channel}\t{priority}\t{failed.provider}\t{cause.value}\t{failed.code}\t"
        f"{bulk.text(failed.detail[:MAX_DETAIL])}\tnow\t"
    )


def record_group(cursor: CursorWrapper, type: EventType, group: Sequence[Result]) -> None:
    """Move the deliveries of results that agree on type, provider, code and attempt."""
    one = group[0]
    ids = bulk.uuid_array(r.claim.id for r in group)
    if type is EventType.SENT:
        cursor.execute(sql.SENT, [one.provider, ids])
    elif type is EventType.SKIPPED:
        cursor.execute(sql.SKIPPED, [one.code, ids])
    elif type is EventType.DEFERRED:
        cursor.execute(sql.DEFERRED, [one.code, one.provider, ids, one.claim.attempt])
        _schedule_retries(cursor, group, {row[0] for row in cursor.fetchall()})
    else:
        status = Status.DEAD if type is EventType.DEAD else Status.FAILED
        cursor.execute(sql.ENDED, [status.value, one.code, one.provider, ids])
        if type is EventType.DEAD:
            _list_dead(cursor, group, {row[0] for row in cursor.fetchall()})


def groups(results: Sequence[Result]) -> dict[tuple[EventType, str, str, int], list[Result]]:
    """Results by what their UPDATE says: in calm weather one group, in bad weather one per cause."""
    found: dict[tuple[EventType, str, str, int], list[Result]] = {}
    for result in results:
        attempt = result.claim.attempt if result.type is EventType.DEFERRED else 0
        found.setdefault((result.type, result.provider, result.code, attempt), []).append(result)
    return found


def _schedule_retries(cursor: CursorWrapper, group: Sequence[Result], still_ours: set[UUID]) -> None:
    schedule = bulk.Schedule(MAX_DELIVERIES)
    for result in group:
        if result.claim.id in still_ours:
            schedule.add(result.claim.channel, result.claim.priority, result.claim.id, delay=result.retry_in)
    schedule.write(cursor)


def _list_dead(cursor: CursorWrapper, group: Sequence[Result], ended: set[UUID]) -> None:
    letters = [
        dead_letter_line(
            r.claim.id, (r.claim.channel, r.claim.priority), DeadCause.EXHAUSTED, Why(r.provider, r.code, r.detail)
        )
        for r in group
        if r.claim.id in ended
    ]
    bulk.copy(cursor, "notifications_deadletter", DEAD_LETTER_COLUMNS, letters)
