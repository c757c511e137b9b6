"""How results become rows: one UPDATE per kind of result, COPY rows for events and dead letters, and counts."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from django.db.backends.utils import CursorWrapper

from core import ids
from core.ids import Key
from core.postgresql.direct import KeyArray
from notifications import bulk, latency
from notifications.bulk import EMPTY, KEY, small_field, text_field
from notifications.choices import DECLINED, EventType, Status
from notifications.digests.sources import SOURCE as DIGEST
from notifications.models.dead_letter import DeadCause
from notifications.models.outbox import MAX_DELIVERIES
from notifications.observers import OutcomeKey
from notifications.services import tracking_sql as sql
from notifications.services.claims import Back, ProviderReceipt, Result

#: The moment of an event is its default: that of its transaction, by the database's clock.
EVENT_COLUMNS = "id, delivery_id, type, attempt, provider, code, provider_message_id, detail"
DEAD_LETTER_COLUMNS = "delivery_id, channel, priority, provider, cause, code, detail, replayed_by"
_EVENT, _LETTER = bulk.head(EVENT_COLUMNS) + KEY, bulk.head(DEAD_LETTER_COLUMNS) + KEY
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


def redacted(cursor: CursorWrapper, told: Sequence[tuple[Key, ProviderReceipt]]) -> list[Why]:
    """What each receipt says to a recipient's delivery, without the address a vendor or a link may quote; without any
    words once that person is gone. `told` is (recipient, receipt)."""
    known = sql.by_id(cursor, sql.ADDRESSES, {owner for owner, receipt in told if receipt.detail})
    whys = []
    for owner, receipt in told:
        person = known.get(owner)
        detail = vendor_text(receipt.detail, *person[1:]) if person else ""
        whys.append(Why(receipt.provider, receipt.code, detail))
    return whys


@lru_cache(maxsize=4096)
def _kind(type: str, attempt: int, provider: str, code: str) -> bytes:
    """The fields that the events of a batch have in common."""
    return text_field(type) + small_field(attempt) + text_field(provider) + text_field(code)


def event_rows(events: Iterable[tuple[Key, EventType, int, Why]]) -> list[bytes]:
    """A row of EVENT_COLUMNS for each (delivery, type, attempt, why)."""
    told = list(events)
    return [
        b"".join(
            (
                _EVENT,
                id,
                KEY,
                delivery,
                _kind(type.value, attempt, why.provider, why.code),
                EMPTY,
                text_field(why.detail[:MAX_DETAIL]),
            )
        )
        for id, (delivery, type, attempt, why) in zip(ids.keys(len(told)), told, strict=True)
    ]


#: No provider was asked: what the event counts are the attempts made before.
_NOT_ASKED = frozenset({EventType.SKIPPED, EventType.HELD})


def result_rows(results: Sequence[Result]) -> list[bytes]:
    """A row of EVENT_COLUMNS per result."""
    return [
        b"".join(
            (_EVENT, id, KEY, r.claim.id, _result_kind(r), text_field(r.provider_message_id), text_field(r.detail))
        )
        for id, r in zip(ids.keys(len(results)), results, strict=True)
    ]


def _result_kind(r: Result) -> bytes:
    return _kind(r.type.value, r.claim.attempt - (r.type in _NOT_ASKED), r.provider, r.code)


def outcome_counts(results: Sequence[Result], now: datetime) -> Counter[OutcomeKey]:
    """What results count as at `now`, the moment of their events: each its outcome, a send its latency too, and who was
    asked before in vain.

    Mostly alike in all but latency, they are counted as plain tuples and become keys afterwards; and what was accepted
    together has one latency. Both together make this cheaper than a key for each.
    """
    buckets: dict[datetime, str] = {}
    told = []
    for r in results:
        claim, bucket = r.claim, ""
        if r.type is EventType.SENT and not (bucket := buckets.get(claim.wanted_at, "")):
            bucket = buckets[claim.wanted_at] = latency.bucket(now - claim.wanted_at)
        told.append((claim.source, claim.category_id, claim.channel, r.provider, r.type.value, r.code, bucket))
        for provider, code in r.declined_by:
            told.append((claim.source, claim.category_id, claim.channel, provider, DECLINED, code, ""))
    counts: Counter[OutcomeKey] = Counter()
    for (source, category_id, channel, provider, type, code, bucket), n in Counter(told).items():
        counts[OutcomeKey(source, category_id, channel, provider, type, code)] += n
        if bucket:
            counts[OutcomeKey(source, category_id, channel, provider, latency.OUTCOME, bucket)] += n
    return counts


def dead_letter_row(id: Key, lane: tuple[str, str], cause: DeadCause, failed: Why) -> bytes:
    """A row of DEAD_LETTER_COLUMNS; `lane` is (channel, priority)."""
    words = (*lane, failed.provider, cause.value, failed.code, failed.detail[:MAX_DETAIL], "")
    return b"".join((_LETTER, id, *map(text_field, words)))


def record_group(cursor: CursorWrapper, type: EventType, group: Sequence[Result]) -> Sequence[Result]:
    """Move the deliveries of results that agree on type, provider, code and claim; those that are news."""
    one = group[0]
    which = sql.within([r.claim.id for r in group])
    if type is EventType.SENT:
        cursor.execute(sql.SENT, [one.provider, *which])
        return group if cursor.rowcount == len(group) else _not_told_yet(cursor, group)
    if type is EventType.SKIPPED:
        cursor.execute(sql.SKIPPED, [one.claim.number, *which, one.code])
    elif type is EventType.HELD:
        cursor.execute(sql.PUT_BACK, [one.claim.number, *which])
    else:
        cursor.execute(sql.UNSENT, [one.claim.number, *which, _UNSENT[type].value, one.code, one.provider])
    moved = {row[0] for row in cursor.fetchall()}
    news = [r for r in group if r.claim.id in moved]
    if type in (EventType.DEFERRED, EventType.HELD):
        _schedule_retries(news)
    elif type is EventType.DEAD:
        _list_dead(cursor, news)
    return news


def digests_back(moved: Iterable[Result]) -> list[Back]:
    """What of these is of digests and has not left: it is to be tried again, or was given up and may be replayed."""
    return [
        Back(r.claim.id, r.claim.notification_id, r.claim.channel)
        for r in moved
        if r.type in _COMES_BACK and r.claim.source.startswith(DIGEST)
    ]


_COMES_BACK = frozenset({EventType.DEFERRED, EventType.HELD, EventType.DEAD})
_UNSENT = {EventType.FAILED: Status.FAILED, EventType.DEAD: Status.DEAD, EventType.DEFERRED: Status.QUEUED}


def _not_told_yet(cursor: CursorWrapper, group: Sequence[Result]) -> list[Result]:
    """Of sends, some of which moved nothing: those whose attempt has no SENT event yet. The others were recorded by a
    commit whose answer was lost; a receipt that was faster, or another worker's send, is no reason to keep silent."""
    sent = [r.claim.id for r in group]
    cursor.execute(sql.SENT_EVENTS, [KeyArray.of(sent), sql.since(sent)])
    told = set(cursor.fetchall())
    return [r for r in group if (r.claim.id, r.claim.attempt) not in told]


def groups(results: Sequence[Result]) -> dict[tuple[EventType, str, str, int], list[Result]]:
    """Results by what their UPDATE says: in calm weather one group, in bad weather one per cause and claim."""
    found: dict[tuple[EventType, str, str, int], list[Result]] = {}
    for result in results:
        number, code = (0, "") if result.type is EventType.SENT else (result.claim.number, result.code)
        found.setdefault((result.type, result.provider, code, number), []).append(result)
    return found


def _schedule_retries(news: Sequence[Result]) -> None:
    schedule = bulk.Schedule(MAX_DELIVERIES)
    for result in news:
        schedule.add(result.claim.channel, result.claim.priority, result.claim.id, delay=result.retry_in)
    schedule.write()


def _list_dead(cursor: CursorWrapper, news: Sequence[Result]) -> None:
    letters = [
        dead_letter_row(
            r.claim.id, (r.claim.channel, r.claim.priority), DeadCause.EXHAUSTED, Why(r.provider, r.code, r.detail)
        )
        for r in news
    ]
    bulk.copy_rows(cursor, "notifications_deadletter", DEAD_LETTER_COLUMNS, letters)
