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


class Why(NamedTuple):
    """Who said so, why in our words (SkipReason, FailureCode or DeadCause), and why in theirs."""

    provider: str = ""
    code: str = ""
    detail: str = ""


NOBODY = Why()


def vendor_text(text: object, *addresses: str) -> str:
    """What a vendor said, fit for the record: no NUL, no lone surrogate, bounded, and no address of the person."""
    said = str(text).replace("\x00", "").encode("utf-8", "replace").decode()
    for address in addresses:
        if address:
            said = said.replace(address, "[address]")
    return said[:MAX_DETAIL]


def event_line(delivery: UUID, type: EventType, at: datetime, why: Why = NOBODY, attempt: int = 0) -> str:
    """A COPY line of EVENT_COLUMNS."""
    return (
        f"{uuid7()}\t{delivery}\t{type.value}\t{at.isoformat()}\t{attempt}\t{bulk.text(why.provider)}\t"
        f"{bulk.text(why.code)}\t\t{bulk.text(why.detail[:MAX_DETAIL])}"
    )


#: No provider was asked: what the event counts are the attempts made before.
_NOT_ASKED = frozenset({EventType.SKIPPED, EventType.HELD})


def result_lines(results: Sequence[Result], now: datetime) -> list[str]:
    """A COPY line of EVENT_COLUMNS per result."""
    at = now.isoformat()
    return [
        f"{uuid7()}\t{r.claim.id}\t{r.type.value}\t{at}\t{r.claim.attempt - (r.type in _NOT_ASKED)}\t"
        f"{r.provider}\t{r.code}\t{bulk.text(r.provider_message_id)}\t{bulk.text(r.detail) if r.detail else ''}"
        for r in results
    ]


def dead_letter_line(id: UUID, lane: tuple[str, str], cause: DeadCause, failed: Why) -> str:
    """A COPY line of DEAD_LETTER_COLUMNS; `lane` is (channel, priority)."""
    channel, priority = lane
    return (
        f"{id}\t{channel}\t{priority}\t{failed.provider}\t{cause.value}\t{failed.code}\t"
        f"{bulk.text(failed.detail[:MAX_DETAIL])}\tnow\t"
    )


def record_group(cursor: CursorWrapper, type: EventType, group: Sequence[Result]) -> Sequence[Result]:
    """Move the deliveries of results that agree on type, provider, code and claim; those that are news."""
    one = group[0]
    ids = bulk.uuid_array(r.claim.id for r in group)
    if type is EventType.SENT:
        cursor.execute(sql.SENT, [one.provider, ids])
        return group if cursor.rowcount == len(group) else _not_told_yet(cursor, group, ids)
    if type is EventType.SKIPPED:
        cursor.execute(sql.SKIPPED, [one.code, ids, one.claim.number])
    elif type is EventType.HELD:
        cursor.execute(sql.PUT_BACK, [ids, one.claim.number])
    else:
        cursor.execute(sql.UNSENT, [_UNSENT[type].value, one.code, one.provider, ids, one.claim.number])
    moved = {row[0] for row in cursor.fetchall()}
    news = [r for r in group if r.claim.id in moved]
    if type in (EventType.DEFERRED, EventType.HELD):
        _schedule_retries(cursor, news)
    elif type is EventType.DEAD:
        _list_dead(cursor, news)
    return news


_UNSENT = {EventType.FAILED: Status.FAILED, EventType.DEAD: Status.DEAD, EventType.DEFERRED: Status.QUEUED}


def _not_told_yet(cursor: CursorWrapper, group: Sequence[Result], ids: str) -> list[Result]:
    """Of sends, some of which moved nothing: those whose attempt has no SENT event yet. The others were recorded by a
    commit whose answer was lost; a receipt that was faster, or another worker's send, is no reason to keep silent."""
    cursor.execute(sql.SENT_EVENTS, [ids, sql.since(r.claim.id for r in group)])
    told = set(cursor.fetchall())
    return [r for r in group if (r.claim.id, r.claim.attempt) not in told]


def groups(results: Sequence[Result]) -> dict[tuple[EventType, str, str, int], list[Result]]:
    """Results by what their UPDATE says: in calm weather one group, in bad weather one per cause and claim."""
    found: dict[tuple[EventType, str, str, int], list[Result]] = {}
    for result in results:
        number, code = (0, "") if result.type is EventType.SENT else (result.claim.number, result.code)
        found.setdefault((result.type, result.provider, code, number), []).append(result)
    return found


def _schedule_retries(cursor: CursorWrapper, news: Sequence[Result]) -> None:
    schedule = bulk.Schedule(MAX_DELIVERIES)
    for result in news:
        schedule.add(result.claim.channel, result.claim.priority, result.claim.id, delay=result.retry_in)
    schedule.write(cursor)


def _list_dead(cursor: CursorWrapper, news: Sequence[Result]) -> None:
    letters = [
        dead_letter_line(
            r.claim.id, (r.claim.channel, r.claim.priority), DeadCause.EXHAUSTED, Why(r.provider, r.code, r.detail)
        )
        for r in news
    ]
    bulk.copy(cursor, "notifications_deadletter", DEAD_LETTER_COLUMNS, letters)
