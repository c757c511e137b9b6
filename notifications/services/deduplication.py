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
from itertools import groupby
from typing import Any, cast
from uuid import UUID

import msgspec
import structlog
from django.db import OperationalError
from django.db.backends.utils import CursorWrapper

from core import ids, redis
from core.ids import Key
from core.postgresql.direct import KeyArray, TextArray
from notifications.choices import Status
from notifications.services.limit_scripts import Script

#: How long an acceptance waits for others that are saying the same. They take milliseconds; only a host that calls
#: notify() in a long transaction takes longer, and must not hold up everybody else.
WAIT_SECONDS = 3.0
#: The same for a look at what an acceptance would find.
LOOK_WAIT_SECONDS = 0.25
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
#: Sets each mark that is free, the caller's own or known to be void, in order. Answers for the others, one after the
#: other, with the place and the mark that is there. What all marks need comes as one argument each, cut up here: the
#: lock, the ids, the void marks (or nothing), and then the windows in milliseconds, each with how many it is for.
_MARK = Script("""
local looking = false
local lock, ids, voids = ARGV[1], ARGV[2], ARGV[3]
local answers, i = {}, 0
for window = 4, #ARGV, 2 do
  local ms = ARGV[window]
  for _ = 1, ARGV[window + 1] do
    i = i + 1
    local id = string.sub(ids, 16 * i - 15, 16 * i)
    local mark = id .. lock
    local found
    if looking then
      found = redis.call('GET', KEYS[i])
    else
      found = redis.call('SET', KEYS[i], mark, 'PX', ms, 'NX', 'GET')
    end
    if found and (found == string.sub(voids, 24 * i - 23, 24 * i) or string.sub(found, 1, 16) == id) then
      if not looking then redis.call('SET', KEYS[i], mark, 'PX', ms) end
      found = false
    end
    if found then
      answers[#answers + 1] = i
      answers[#answers + 1] = found
    end
  end
end
return answers
""")
_LOOK = _MARK.looking()
#: Those on the record, and whether they reach somebody. Parameters: statuses, ids, the range their deliveries are in.
_REACHING = """
    SELECT notification_id, bool_or(status = ANY($1::text[])) FROM notifications_delivery
     WHERE notification_id = ANY($2::uuid[]) AND id >= $3 AND id < $4 GROUP BY notification_id
"""
#: Parameters: recipients, categories, keys, seconds; the lowest id, RECENT, live or test, statuses.
_BY_KEY = """
    SELECT ask.n, said.id
      FROM unnest($1::uuid[], $2::int[], $3::text[], $4::int[])
           WITH ORDINALITY AS ask (recipient_id, category_id, dedup_key, seconds, n),
           LATERAL (
               SELECT n.id
                 FROM (SELECT * FROM notifications_notification
                        WHERE recipient_id = ask.recipient_id AND id >= $5 ORDER BY id DESC LIMIT $6) n
                WHERE n.dedup_key = ask.dedup_key AND n.category_id = ask.category_id AND n.is_test = $7
                  AND n.created_at > now() - ask.seconds * interval '1 second'
                  AND EXISTS (SELECT FROM notifications_delivery d
                               WHERE d.notification_id = n.id AND d.id >= $5 AND d.status = ANY($8::text[]))
                LIMIT 1
           ) said
"""
#: Bytes of a mark: the id of its notification, then the lock.
_ID, _MARK_LENGTH = 16, 24


class Ask(msgspec.Struct, frozen=True, gc=False):
    """Was this said already? `mark` is 16 bytes, the same for the same things said: to whom, about what, and how;
    `seconds` the category's window, `dedup_key` the caller's."""

    notification_id: Key
    recipient_id: Key
    category_id: int
    mark: bytes
    seconds: int
    dedup_key: str


def detail_of(first: Key) -> str:
    """What the event of a duplicate says."""
    return f"{_DUPLICATE_OF}{ids.uuid(first)}"


def first_of(details: Iterable[str]) -> UUID | None:
    """The notification that events name as the first, or None."""
    for detail in details:
        if detail.startswith(_DUPLICATE_OF):
            return UUID(detail.removeprefix(_DUPLICATE_OF))
    return None


class DeduplicationService:
    """Finds the duplicates of a batch. One round trip to Redis; one query more where a caller gave a key or something
    is a duplicate. Never raises for Redis. One that is `looking` sets no mark and takes none over."""

    def __init__(self, *, looking: bool = False) -> None:
        self._script = _LOOK if looking else _MARK
        self._wait_seconds = LOOK_WAIT_SECONDS if looking else WAIT_SECONDS

    def firsts(
        self, cursor: CursorWrapper, asks: Sequence[Ask], *, lock: int, now: datetime, is_test: bool
    ) -> dict[Key, Key]:
        """The duplicates among these: notification id -> id of the first, on the record or earlier in the batch.

        `now` and `lock` are what BEGIN answered in this transaction. It is READ COMMITTED: under a stricter isolation
        a duplicate may be let through. Raises OperationalError when another transaction that says the same does not
        end for WAIT_SECONDS.
        """
        if not asks:
            return {}
        found: dict[Key, Key] = {}
        try:
            self._by_mark(cursor, asks, lock, found)
        except redis.RedisError as error:
            _warn(error)
            self._within(asks, found)
        self._by_key(
            cursor, [ask for ask in asks if ask.dedup_key and ask.notification_id not in found], now, is_test, found
        )
        return {id: found.get(first, first) for id, first in found.items()}

    def _by_mark(self, cursor: CursorWrapper, asks: Sequence[Ask], lock: int, found: dict[Key, Key]) -> None:
        own = {ask.notification_id for ask in asks}
        void: dict[bytes, bytes] = {}
        deadline = time.monotonic() + self._wait_seconds
        while asks and (taken := _mark(self._script, asks, lock, void)):
            firsts = {ask.notification_id: mark[:_ID] for ask, mark in taken}
            others = {mark[:_ID]: mark for _, mark in taken if mark[:_ID] not in own}
            known = own | _settled(cursor, others, deadline)
            found.update((id, first) for id, first in firsts.items() if first in known)
            void.update((ask.mark, mark) for ask, mark in taken if ask.notification_id not in found)
            asks = [ask for ask, _ in taken if ask.notification_id not in found]

    def _within(self, asks: Sequence[Ask], found: dict[Key, Key]) -> None:
        """The duplicates inside the batch: for these nobody need be asked."""
        seen: dict[bytes, Key] = {}
        for ask in asks:
            first = seen.setdefault(ask.mark, ask.notification_id)
            if first != ask.notification_id:
                found.setdefault(ask.notification_id, first)

    def _by_key(
        self, cursor: CursorWrapper, asks: Sequence[Ask], now: datetime, is_test: bool, found: dict[Key, Key]
    ) -> None:
        if not asks:
            return
        longest = timedelta(seconds=max(ask.seconds for ask in asks))
        parameters: list[Any] = [
            KeyArray.of(ask.recipient_id for ask in asks),
            [ask.category_id for ask in asks],
            TextArray.of(ask.dedup_key for ask in asks),
            [ask.seconds for ask in asks],
            ids.floor(now - longest - _CLOCK_MARGIN),
            RECENT,
            is_test,
            _COUNTS,
        ]
        cursor.execute(_BY_KEY, parameters)
        found.update((asks[n - 1].notification_id, first) for n, first in cursor.fetchall())


def _mark(script: Script, asks: Sequence[Ask], lock: int, void: dict[bytes, bytes]) -> list[tuple[Ask, bytes]]:
    """Those that are not marked as ours now, each with the mark of whoever was first. Once `void` is not empty, it
    has a mark for each that is asked."""
    space = redis.key("dedup", "").encode()
    arguments: list[bytes | int] = [
        lock.to_bytes(_MARK_LENGTH - _ID, "big", signed=True),
        b"".join([ask.notification_id for ask in asks]),
        b"".join([void[ask.mark] for ask in asks]) if void else b"",
    ]
    for seconds, alike in groupby(asks, _window):
        arguments += (seconds * 1000, len(list(alike)))
    answers = iter(cast(list[int | bytes], script(redis.client(), [space + ask.mark for ask in asks], arguments)))
    return [(asks[cast(int, place) - 1], cast(bytes, mark)) for place, mark in zip(answers, answers, strict=True)]


def _window(ask: Ask) -> int:
    return ask.seconds


def _settled(cursor: CursorWrapper, marks: dict[Key, bytes], deadline: float) -> set[Key]:
    """Which of these notifications count, once the transactions that may yet bring them have ended. One that is on the
    record needs no waiting, and no lock: a batch may meet a thousand that were given up."""
    reaching = _reaching(cursor, marks)
    locks = {int.from_bytes(mark[_ID:], "big", signed=True) for first, mark in marks.items() if first not in reaching}
    if locks:
        _wait(cursor, sorted(locks), deadline - time.monotonic())
        reaching |= _reaching(cursor, marks.keys() - reaching.keys())
    return {first for first, counts in reaching.items() if counts}


def _reaching(cursor: CursorWrapper, notification_ids: Collection[Key]) -> dict[Key, bool]:
    if not notification_ids:
        return {}
    since = ids.floor(ids.made_at(min(notification_ids)) - _CLOCK_MARGIN)
    until = ids.floor(ids.made_at(max(notification_ids)) + _CLOCK_MARGIN)
    cursor.execute(_REACHING, [_COUNTS, KeyArray.of(notification_ids), since, until])
    return dict(cursor.fetchall())


def _wait(cursor: CursorWrapper, locks: list[int], seconds: float) -> None:
    """Until the transactions that hold these have ended. OperationalError when that takes longer than `seconds`; two
    that wait for each other are told apart by PostgreSQL, and one gets an OperationalError."""
    if seconds <= 0:
        raise OperationalError("Others kept saying the same thing; try again.")
    cursor.execute("SELECT current_setting('statement_timeout')")
    (before,) = cursor.fetchone()
    cursor.execute("SELECT set_config('statement_timeout', $1, true)", [f"{max(1, round(seconds * 1000))}ms"])
    cursor.execute("SELECT pg_advisory_xact_lock_shared(lock) FROM unnest($1::bigint[]) lock", [locks])
    cursor.execute("SELECT set_config('statement_timeout', $1, true)", [before])


def _warn(error: Exception) -> None:
    global _warned_at  # noqa: PLW0603  one fact per process
    now = time.monotonic()
    if now - _warned_at >= _WARN_EVERY_SECONDS:
        _warned_at = now
        log.warning("deduplication_unavailable", error=type(error).__name__)
