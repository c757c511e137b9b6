"""Group commit: single sends that arrive while others are being taken are taken together, in one transaction.

A transaction costs about the same whether it takes one notification or fifty: the key is looked up, a dozen statements
go to PostgreSQL, and the disk says that it has them. Nobody is kept waiting for company: who comes first is taken at
once, and who comes meanwhile goes with the next group. Each caller is answered after the commit that holds its rows.

A group answers only for what went well. Whatever is to be refused, repeated or looked at closely is told to go alone,
and is then answered by itself, so one caller's fault is never another's.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum

import structlog
from django.db import DatabaseError, InterfaceError, connection, transaction

from notifications.drafts import Accepted, Draft
from notifications.errors import DraftsRejected
from notifications.models import ApiKey
from notifications.models.api_key import KeyMode, Scope
from notifications.services import api_keys, idempotency
from notifications.services.notification import NotificationService
from notifications.services.overload import outbox_gauge
from notifications.services.rate_limiter import KeyAllowance, RateLimiter

log = structlog.get_logger(__name__)

#: Notifications in one transaction. A larger one would save nothing more and answer its first callers later.
MAX_GROUP = 100
#: Groups in the making at the same time, if the first ones stand still: one that says what a host process is just
#: saying in a long transaction waits for it, up to three seconds. Otherwise one at a time: two would be half as large.
THREADS = 4
#: How long a group may take before the next one does not wait for it any more. Under load one takes 10 to 40 ms.
PATIENCE_SECONDS = 0.1
ACCEPTED = 202


class Unanswered(Enum):
    """Why a call was not answered with its group."""

    ALONE = "nothing was accepted: it is to be made again, alone"
    AWAY = "the database went away, perhaps during the commit"


@dataclass(slots=True)
class Call:
    """One notification, from whom, and what came of it. `key` and `seal`: the Idempotency-Key and the request's
    fingerprint, or empty."""

    token: str
    draft: Draft
    key: str = ""
    seal: str = ""
    allowance: KeyAllowance | None = None  # set once the call was counted towards its key's limit
    outcome: bytes | Unanswered = Unanswered.ALONE


class GroupCommit:
    """`send` from an event loop; the groups are taken on threads of its own. `present` makes the answer's JSON.

    Who waits and what runs is only ever touched on the loop, so none of it needs a lock.
    """

    def __init__(self, present: Callable[[Accepted], bytes]) -> None:
        self._present = present
        self._limiter = RateLimiter()
        self._threads = ThreadPoolExecutor(THREADS, "accept")
        self._waiting: dict[str, list[tuple[Call, asyncio.Future[None]]]] = {}  # by API key, in order of arrival
        self._running = 0
        self._started = 0.0
        self._timer: asyncio.TimerHandle | None = None

    async def send(self, call: Call) -> bytes | Unanswered:
        """The answer to a 202, durable; or why there is none. `call.allowance` tells in either case whether it was
        counted."""
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._start, loop)  # behind those who came at the same moment
        self._waiting.setdefault(call.token, []).append((call, done))
        await done
        return call.outcome

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take the next group: of the key that has waited longest. One at a time, unless the one before has taken so
        long that it must be waiting for somebody."""
        while self._waiting and self._may_start(loop.time()):
            token = next(iter(self._waiting))
            calls = self._waiting.pop(token)
            if len(calls) > MAX_GROUP:
                self._waiting[token] = calls[MAX_GROUP:]  # behind the other keys
            self._running += 1
            self._started = loop.time()
            self._threads.submit(self._work, loop, calls[:MAX_GROUP])
        if self._waiting and self._timer is None:
            self._timer = loop.call_later(PATIENCE_SECONDS, self._start_late, loop)

    def _start_late(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        self._start(loop)

    def _may_start(self, now: float) -> bool:
        return not self._running or (self._running < THREADS and now - self._started >= PATIENCE_SECONDS)

    def _finish(self, loop: asyncio.AbstractEventLoop, done: Sequence["asyncio.Future[None]"]) -> None:
        """Wake the callers of a group; those who answer fast enough are in the next one."""
        self._running -= 1
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for one in done:
            if not one.done():
                one.set_result(None)
        loop.call_soon(self._start, loop)

    def _work(self, loop: asyncio.AbstractEventLoop, group: Sequence[tuple[Call, "asyncio.Future[None]"]]) -> None:
        """On a thread: a group from its first statement to the commit."""
        try:
            self._take([call for call, _ in group])
        except Exception:  # whoever it was goes alone and meets it there
            log.exception("group_failed", calls=len(group))
        finally:
            connection.close()  # to the pool
        try:
            loop.call_soon_threadsafe(self._finish, loop, [done for _, done in group])
        except RuntimeError:  # the loop is gone, and with it everybody who waited
            log.info("nobody_waits", calls=len(group))

    def _take(self, calls: Sequence[Call]) -> None:
        """Set the outcome of those that are accepted; all others stay as they are."""
        try:
            key = api_keys.authenticate(calls[0].token)
            if Scope.NOTIFICATIONS_WRITE in key.scopes and not outbox_gauge.is_full():
                self._accept(key, self._count(key, calls))
        except api_keys.InvalidKey:
            return
        except (DatabaseError, InterfaceError) as error:
            log.warning("group_not_accepted", calls=len(calls), error=type(error).__name__)
            if not _connected():
                for call in calls:
                    call.outcome = Unanswered.AWAY

    def _count(self, key: ApiKey, calls: Sequence[Call]) -> list[Call]:
        """Those within the key's limit, asked at once for all; near the limit one by one, as if each had come alone."""
        n = len(calls)
        told = self._limiter.api_key(key.prefix, n)
        if told.allowed:
            for place, call in enumerate(calls, 1):
                call.allowance = told._replace(remaining=told.remaining + n - place)
            return list(calls)
        if n == 1:
            return []
        return [call for one in calls for call in self._count(key, [one])]

    def _accept(self, key: ApiKey, calls: Sequence[Call]) -> None:
        if not any(call.key for call in calls):
            answers = self._send(key, calls)
        else:
            with transaction.atomic():
                answers = self._send(key, _held(key, calls))
                if sealed := [(one.key, one.seal, ACCEPTED, answer) for one, answer in answers if one.key]:
                    idempotency.remember(key, sealed)
        for call, answer in answers:
            call.outcome = answer

    def _send(self, key: ApiKey, calls: Sequence[Call]) -> list[tuple[Call, bytes]]:
        """Send those that nothing is wrong with."""
        while calls:
            try:
                accepted = NotificationService().send(
                    [call.draft for call in calls], source=f"api:{key.prefix}", is_test=key.mode == KeyMode.TEST
                )
            except DraftsRejected as rejected:
                calls = [call for place, call in enumerate(calls) if place not in rejected.errors]
            else:
                return [(call, self._present(one)) for call, one in zip(calls, accepted, strict=True)]
        return []


def _held(key: ApiKey, calls: Sequence[Call]) -> list[Call]:
    """Those without an Idempotency-Key, and of each key that is free the first."""
    free = idempotency.hold(key, {call.key for call in calls if call.key})
    held = []
    for call in calls:
        if not call.key or call.key in free:
            free.discard(call.key)
            held.append(call)
    return held


def _connected() -> bool:
    """Whether the server is still there after an error. Then it has undone the transaction, for sure."""
    wire = connection.connection
    return wire is not None and not wire.closed
