"""The same message to the same person: said once within the window of its category.

What is the same is told by a mark: recipient, category, live or test, and the caller's `dedup_key`; without one the
wording (template version and data, or content), the channels it goes to and the moment it is scheduled for. The same
words on another channel, or for another morning, are another message.

Marks are in Redis and are set before PostgreSQL commits, so a mark alone decides nothing. It names its notification and
the lock that the accepting transaction holds until it ends. A notification that is not on the record is waited for by
that lock; if it is still not there, its transaction was undone, or its process killed, and the mark is taken over. So
a request that failed can be repeated at once. A notification that reaches nobody any more (cancelled, expired, bounced,
refused, given up) holds nothing back either.

Without Redis: acceptance goes on. A caller's own key is looked for on the record, where one that is being accepted at
the same moment is not seen; repeated wording is let through. After a flush likewise, and so the record is asked about
callers' keys always.
"""

import time
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any, NamedTuple, cast
from uuid import UUID

import structlog
from django.db import OperationalError
from django.db.backends.utils import CursorWrapper

from core import ids, redis
from notifications.bulk import uuid_array
from notifications.choices import Status

#: How long an acceptance waits for others that are saying the same. They take milliseconds; only a host that calls
#: notify() in a long transaction takes longer, and must not hold up everybody else.
WAIT_SECONDS = 3.0
#: Newest notifications of one person that are searched for a caller's key.
RECENT = 1000
#: A delivery in one of these reaches its person, or may.
_COUNTS = [Status.QUEUED.value, Status.SENDING.value, Status.SENT.value, Status.DELIVERED.value]
#: Deliveries are made together with their notification, by the same clock.
_CLOCK_MARGIN = timedelta(minutes=5)
_DUPLICATE_OF = "Duplicate of "
#: At most one warning in this time.
_WARN_EVERY_SECONDS = 60.0
_warned_at = float("-inf")
log = structlog.get_logger(__name__)

#: The moment of the transaction, and its lock: one for all its batches, so that a host may call notify() ten thousand
#: times in a transaction. It is let go when the transaction ends, however it ends.
BEGIN = """
    SELECT now(), held.lock, pg_advisory_xact_lock(held.lock)
      FROM (SELECT ((extract(epoch FROM now()) * 1000000)::bigint << 12) # pg_backend_pid() AS lock) held
"""
#: Sets each mark that is free, the caller's own or known to be void, in order; answers for the others whose they are.
_MARK = """
local answers, n = {}, #KEYS
for i = 1, n do
  local id, ms, void = ARGV[1 + i], ARGV[1 + n + i], ARGV[1 + 2 * n + i]
  local mark = id .. ARGV[1]
  local found = redis.call('SET', KEYS[i], mark, 'PX', ms, 'NX', 'GET')
  if found and (found == void or string.sub(found, 1, 16) == id) then
    redis.call('SET', KEYS[i], mark, 'PX', ms)
    found = false
  end
  answers[i] = found or ''
end
return answers
"""
#: Those on the record, and whether they reach somebody.
_REACHING = """
    SELECT notification_id, bool_or(status = ANY(%s)) FROM notifications_delivery
     WHERE notification_id = ANY(%s::uuid[]) AND id >= %s AND id < %s GROUP BY notification_id
"""
_BY_KEY = """
    SELECT ask.n, said.id
      FROM unnest(%(recipients)s::uuid[], %(categories)s::int[], %(keys)s::text[], %(seconds)s::int[])
           WITH ORDINALITY AS ask (recipient_id, category_id, dedup_key, seconds, n),
           LATERAL (
               SELECT n.id
                 FROM (SELECT * FROM notifications_notification
                        WHERE recipient_id = ask.recipient_id AND id >= %(since)s ORDER BY id DESC LIMIT %(recent)s) n
                WHERE n.dedup_key = ask.dedup_key AND n.category_id = ask.category_id AND n.is_test = %(is_test)s
                  AND n.created_at > now() - ask.seconds * interval '1 second'
                  AND EXISTS (SELECT FROM notifications_delivery d
                               WHERE d.notification_id = n.id AND d.id >= %(since)s AND d.status = ANY(%(counts)s))
                LIMIT 1
           ) said
"""


class Ask(NamedTuple):
    """Was this said already? `mark` is `mark_of` it, `seconds` the category's window, `dedup_key` the caller's."""

    notification_id: UUID
    recipient_id: UUID
    category_id: int
    mark: bytes
    seconds: int
    dedup_key: str


def mark_of(said: str) -> bytes:
    """16 bytes, the same for the same things said: to whom, about what, and how."""
    return blake2b(said.encode(), digest_size=16).digest()


def detail_of(first: UUID) -> str:
    """What the event of a duplicate says."""
    return f"{_DUPLICATE_OF}{first}"


def first_of(details: Iterable[str]) -> UUID | None:
    """The notification that events name as the first, or None."""
    for detail in details:
        if detail.startswith(_DUPLICATE_OF):
            return UUID(detail.removeprefix(_DUPLICATE_OF))
    return None


class DeduplicationService:
    """Finds the duplicates of a batch. One round trip to Redis; one query more where a caller gave a key or something
    is a duplicate. Never raises for Redis."""

    def firsts(
        self, cursor: CursorWrapper, asks: Sequence[Ask], *, lock: int, now: datetime, is_test: bool
    ) -> dict[UUID, UUID]:
        """The duplicates among these: notification id -> id of the first, on the record or earlier in the batch.

        `now` and `lock` are what BEGIN answered in this transaction. It is READ COMMITTED: under a stricter isolation
        a duplicate may be let through. Raises OperationalError when another transaction that says the same does not
        end for WAIT_SECONDS.
        """
        if not asks:
            return {}
        found: dict[UUID, UUID] = {}
        try:
            self._by_mark(cursor, asks, lock, found)
        except redis.RedisError as error:
            _warn(error)
            self._within(asks, found)
        self._by_key(
            cursor, [ask for ask in asks if ask.dedup_key and ask.notification_id not in found], now, is_test, found
        )
        return {id: found.get(first, first) for id, first in found.items()}

    def _by_mark(self, cursor: CursorWrapper, asks: Sequence[Ask], lock: int, found: dict[UUID, UUID]) -> None:
        own = {ask.notification_id for ask in asks}
        void: dict[bytes, bytes] = {}
        deadline = time.monotonic() + WAIT_SECONDS
        while asks:
            taken = [(ask, mark) for ask, mark in zip(asks, _mark(asks, lock, void), strict=True) if mark]
            firsts = {ask.notification_id: UUID(bytes=mark[:16]) for ask, mark in taken}
            others = {first: mark for (_, mark), first in zip(taken, firsts.values(), strict=True) if first not in own}
            known = own | _settled(cursor, others, deadline)
            found.update((id, first) for id, first in firsts.items() if first in known)
            void.update((ask.mark, mark) for ask, mark in taken if ask.notification_id not in found)
            asks = [ask for ask, _ in taken if ask.notification_id not in found]

    def _within(self, asks: Sequence[Ask], found: dict[UUID, UUID]) -> None:
        """The duplicates inside the batch: for these nobody need be asked."""
        seen: dict[bytes, UUID] = {}
        for ask in asks:
            first = seen.setdefault(ask.mark, ask.notification_id)
            if first != ask.notification_id:
                found.setdefault(ask.notification_id, first)

    def _by_key(
        self, cursor: CursorWrapper, asks: Sequence[Ask], now: datetime, is_test: bool, found: dict[UUID, UUID]
    ) -> None:
        if not asks:
            return
        longest = timedelta(seconds=max(ask.seconds for ask in asks))
        parameters: dict[str, Any] = {
            "recipients": uuid_array(ask.recipient_id for ask in asks),
            "categories": [ask.category_id for ask in asks],
            "keys": [ask.dedup_key for ask in asks],
            "seconds": [ask.seconds for ask in asks],
            "since": ids.floor(now - longest - _CLOCK_MARGIN),
            "recent": RECENT,
            "is_test": is_test,
            "counts": _COUNTS,
        }
        cursor.execute(_BY_KEY, parameters)
        found.update((asks[n - 1].notification_id, first) for n, first in cursor.fetchall())


def _mark(asks: Sequence[Ask], lock: int, void: dict[bytes, bytes]) -> list[bytes]:
    """Per ask an empty answer, when it is now marked as ours, or the mark of whoever was first."""
    space = redis.key("dedup").encode() + b":"
    arguments: list[bytes | int] = [lock.to_bytes(8, "big", signed=True)]
    arguments += [ask.notification_id.bytes for ask in asks]
    arguments += [ask.seconds * 1000 for ask in asks]
    if void:
        arguments += [void.get(ask.mark, b"") for ask in asks]
    script = redis.client().register_script(_MARK)
    return cast(list[bytes], script([space + ask.mark for ask in asks], arguments))


def _settled(cursor: CursorWrapper, marks: dict[UUID, bytes], deadline: float) -> set[UUID]:
    """Which of these notifications count, once the transactions that may yet bring them have ended. One that is on the
    record needs no waiting, and no lock: a batch may meet a thousand that were given up."""
    reaching = _reaching(cursor, marks)
    locks = {int.from_bytes(mark[16:], "big", signed=True) for first, mark in marks.items() if first not in reaching}
    if locks:
        _wait(cursor, sorted(locks), deadline - time.monotonic())
        reaching |= _reaching(cursor, marks.keys() - reaching.keys())
    return {first for first, counts in reaching.items() if counts}


def _reaching(cursor: CursorWrapper, notification_ids: Collection[UUID]) -> dict[UUID, bool]:
    if not notification_ids:
        return {}
    since = ids.floor(ids.made_at(min(notification_ids)) - _CLOCK_MARGIN)
    until = ids.floor(ids.made_at(max(notification_ids)) + _CLOCK_MARGIN)
    cursor.execute(_REACHING, [_COUNTS, uuid_array(notification_ids), since, until])
    return dict(cursor.fetchall())


def _wait(cursor: CursorWrapper, locks: list[int], seconds: float) -> None:
    """Until the transactions that hold these have ended. OperationalError when that takes longer than `seconds`; two
    that wait for each other are told apart by PostgreSQL, and one gets an OperationalError."""
    if seconds <= 0:
        raise OperationalError("Others kept saying the same thing; try again.")
    cursor.execute("SELECT current_setting('statement_timeout')")
    (before,) = cursor.fetchone()
    cursor.execute("SELECT set_config('statement_timeout', %s, true)", [f"{max(1, round(seconds * 1000))}ms"])
    cursor.execute("SELECT pg_advisory_xact_lock_shared(lock) FROM unnest(%s::bigint[]) lock", [locks])
    cursor.execute("SELECT set_config('statement_timeout', %s, true)", [before])


def _warn(error: Exception) -> None:
    global _warned_at  # noqa: PLW0603  one fact per process
    now = time.monotonic()
    if now - _warned_at >= _WARN_EVERY_SECONDS:
        _warned_at = now
        log.warning("deduplication_unavailable", error=type(error).__name__)
