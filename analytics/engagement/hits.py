"""Hits on their way to the events lane. Whoever follows a link is sent on whatever becomes of the hit.

A thread of its own puts them there, those that come while it is busy together, so a crowd costs one commit and not a
thousand. A request waits for its hit to be durable, but not for long: while PostgreSQL is away hits wait in memory, up
to MAX_WAITING, and go in when it is back. What does not fit, or is still in memory when the process ends, is lost and
counted: a click less in the figures. They are applied BURST_SECONDS later, so that each is seen beside those that come
with it.
"""

import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLate
from functools import partial
from typing import Protocol

import structlog
from django.db import Error, connection

from core import metrics
from core.faults import where
from core.ids import Key
from core.recent import Recent
from notifications.errors import CarillonError
from notifications.services import events_lane
from notifications.services.engagement import BURST_SECONDS
from notifications.services.events_lane import Incoming

log = structlog.get_logger(__name__)

_HITS = metrics.counter(
    "hits_total",
    "Links followed and pixels fetched: kept, waiting for PostgreSQL, too many of one message, or lost.",
    "what",
    "result",
)

#: Seconds a request waits for its hit. A commit takes milliseconds; a disk that takes longer is no matter of the
#: reader's, who wants a page.
PATIENCE = 0.01
#: Hits in one statement, and hits kept while PostgreSQL is away: some 10 MB, half a minute of a busy process.
BATCH, MAX_WAITING = 500, 10_000
#: Seconds between two tries while PostgreSQL is away.
PAUSE = 0.5
#: Hits a minute of one message that a process takes down. More is no person, and the record keeps 100 of them at most.
PER_MINUTE, MAX_REMEMBERED = 30, 10_000


class Put(Protocol):
    """`events_lane.put`."""

    def __call__(self, events: Sequence[Incoming]) -> None: ...


class HitLog:
    """Takes hits down. Safe to share between threads; its own begins with the first hit."""

    def __init__(self, put: Put) -> None:
        self._put = put
        self._waiting: deque[tuple[Incoming, Future[None]]] = deque()
        self._news = threading.Condition()
        self._is_away = False
        self._thread: threading.Thread | None = None
        self._restraint = Restraint()

    def note(self, hit: Incoming) -> bool:
        """Take a hit down. True when it is durable now; False when it waits in memory, is one too many, or is lost."""
        done = self.take(hit)
        if done is None:
            return False
        try:
            done.result(PATIENCE)
        except TooLate:
            self.give_up(hit)
            return False
        self.kept(hit)
        return True

    def take(self, hit: Incoming) -> Future[None] | None:
        """The same for who waits in a way of its own: what becomes done once the hit is durable, and then is to be told
        by `kept`, or after PATIENCE by `give_up`. None when there is nothing to wait for."""
        if not self._restraint.allows(hit.delivery_id.bytes):
            _HITS.inc(hit.origin, "too_many")
            return None
        done: Future[None] = Future()
        with self._news:
            if len(self._waiting) >= MAX_WAITING:
                _HITS.inc(hit.origin, "lost")
                return None
            self._waiting.append((hit, done))
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="hits", daemon=True)
                self._thread.start()
            self._news.notify()
        if self._is_away:
            _HITS.inc(hit.origin, "waiting")
            return None
        return done

    def kept(self, hit: Incoming) -> None:
        _HITS.inc(hit.origin, "kept")

    def give_up(self, hit: Incoming) -> None:
        """Whoever comes next need not wait for the same statement."""
        self._is_away = True
        _HITS.inc(hit.origin, "waiting")

    @property
    def waiting(self) -> int:
        """Hits in memory."""
        return len(self._waiting)

    def _run(self) -> None:
        while True:
            with self._news:
                while not self._waiting:
                    self._news.wait()
            try:
                self._put_some()
            except (Error, CarillonError) as error:
                if not self._is_away:
                    log.warning("engagement.hits_wait", error=type(error).__name__)
                self._is_away = True
                time.sleep(PAUSE)
            except Exception as error:  # a bug in one hit must not keep the others for ever
                lost, done = self._waiting.popleft()
                done.set_result(None)
                _HITS.inc(lost.origin, "lost")
                log.error("engagement.hit_lost", error=type(error).__name__, at=where(error))  # noqa: TRY400 - it may quote the link
            else:
                self._is_away = False
            finally:
                connection.close()  # back to the pool

    def _put_some(self) -> None:
        """Put the oldest hits on the lane."""
        batch = [self._waiting[n] for n in range(min(BATCH, len(self._waiting)))]
        self._put([hit for hit, _ in batch])
        for _, done in batch:
            self._waiting.popleft()
            done.set_result(None)


class Restraint:
    """Keeps one message's hits from filling the lane: PER_MINUTE of them, by this process's clock."""

    def __init__(self) -> None:
        self._seen = Recent[Key, tuple[int, int]](MAX_REMEMBERED)

    def allows(self, delivery: Key) -> bool:
        """Count a hit; whether it is still one to take down."""
        minute = int(time.monotonic()) // 60
        since, hits = self._seen.get(delivery) or (minute, 0)
        hits = hits + 1 if since == minute else 1
        self._seen.put(delivery, (minute, hits))
        return hits <= PER_MINUTE


hit_log = HitLog(partial(events_lane.put, delay=BURST_SECONDS))
