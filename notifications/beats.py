"""Every process says every five seconds that it lives, what it serves and how it is.

    with present("worker", "worker-email-2", channels=["email"], stats=worker.stats):
        consumer.run(worker.process)

A thread of its own writes one row (`ProcessBeat`), over a connection of its own, and answers Prometheus on the
process's port (`core.metrics_page`). Nothing that goes wrong there touches the process: a beat that cannot be
written is left out and the next one tried.

What stands in `stats`: "channels" and "priorities" of a worker; "lanes": lane -> {"wait", "ago"}, how long the message
it took last had waited on the broker, and how many seconds before the beat that was; "memory" in bytes and "cpu" in
seconds since the start, where the system tells them; "metrics_port", when it has one; and what the process adds.
"""

import os
import random
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import structlog
from django.db import connection

from core import ids
from core.metrics_page import MetricsServer
from notifications import metrics

log = structlog.get_logger(__name__)

#: Between two beats. `live.STALE_SECONDS` is four of them.
BEAT_SECONDS = 5.0
#: A process that stops waits so long for its row to be taken away; PostgreSQL may be gone.
LEAVE_SECONDS = 1.0
#: Rows of processes that were lost are kept so long, to be seen.
KEEP_SECONDS = 3600.0
MAX_HOST = MAX_NAME = 64

Stats = Callable[[], Mapping[str, Any]]

_BEAT = """
INSERT INTO notifications_processbeat AS known (id, kind, name, host, pid, started_at, stats)
VALUES (%(id)s, %(kind)s, %(name)s, %(host)s, %(pid)s, now() - make_interval(secs => %(up)s), %(stats)s::jsonb)
ON CONFLICT (id) DO UPDATE SET beat_at = now(), stats = EXCLUDED.stats
"""
_LEAVE = "DELETE FROM notifications_processbeat WHERE id = %s"
_PRUNE = "DELETE FROM notifications_processbeat WHERE beat_at < now() - make_interval(secs => %s)"


@contextmanager
def present(
    kind: str, name: str = "", *, channels: Sequence[str] = (), priorities: Sequence[str] = (), stats: Stats = dict
) -> Iterator[None]:
    """This process is known to live until the block ends. `name` tells it from others of its kind; `stats` is asked
    before each beat, on another thread."""
    serves: dict[str, Any] = {"channels": [*channels], "priorities": [*priorities]} if channels else {}
    heart = Heart(kind, name or kind, lambda: {**serves, **stats()})
    heart.start()
    try:
        yield
    finally:
        heart.stop()


class Heart:
    """The thread that beats."""

    def __init__(self, kind: str, name: str, stats: Stats = dict, *, every: float = BEAT_SECONDS) -> None:
        self.id: UUID = ids.uuid7()
        self.kind, self.name, self.host = kind, name[:MAX_NAME], socket.gethostname()[:MAX_HOST]
        self._stats = stats
        self._every = every
        self._started = time.monotonic()
        self._stop = threading.Event()
        self._failed = False
        self._thread = threading.Thread(target=self._run, name="heart", daemon=True)
        self._metrics: MetricsServer | None = None

    def start(self) -> None:
        metrics.PROCESS.set(self.kind, self.name, to=1.0)
        self._metrics = MetricsServer(whole=self.kind == "web")
        self._metrics.start()
        self._thread.start()

    def stop(self) -> None:
        """Take the row away, if PostgreSQL lets us within LEAVE_SECONDS."""
        self._stop.set()
        self._thread.join(LEAVE_SECONDS)
        if self._metrics is not None:
            self._metrics.stop()

    def beat(self) -> None:
        """Write the row. Raises whatever goes wrong."""
        row: dict[str, Any] = {
            "id": self.id,
            "kind": self.kind,
            "name": self.name,
            "host": self.host,
            "pid": os.getpid(),
            "up": time.monotonic() - self._started,
            "stats": orjson.dumps({**usage(), **self._port(), **self._stats()}).decode(),
        }
        with connection.cursor() as cursor:
            cursor.execute(_BEAT, row)

    def _port(self) -> dict[str, int]:
        return {"metrics_port": self._metrics.port} if self._metrics is not None and self._metrics.port else {}

    def _run(self) -> None:
        while True:
            self._attempt(self.beat)
            # Not in step with the others: a fleet that starts together would knock together for ever.
            if self._stop.wait(self._every * random.uniform(0.9, 1.1)):
                break
        self._attempt(self._leave)

    def _leave(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(_LEAVE, [self.id])

    def _attempt(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:  # the process goes on whatever it is; said once, until it works again
            metrics.BEAT_FAILURES.inc()
            if not self._failed:
                log.warning("beat.failed", error=type(error).__name__)
            self._failed = True
        else:
            self._failed = False
        finally:
            connection.close()  # back to the pool: it is needed for a millisecond in five seconds


def usage() -> dict[str, float]:
    """Memory and CPU of this process; memory only where the system tells the current one (Linux)."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    found: dict[str, float] = {"cpu": round(own.ru_utime + own.ru_stime, 2)}
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return found
    return {**found, "memory": pages * resource.getpagesize()}


def prune() -> None:
    """Forget processes that were lost more than an hour ago."""
    with connection.cursor() as cursor:
        cursor.execute(_PRUNE, [KEEP_SECONDS])


class LaneWaits:
    """How long what a worker took had waited on the broker, per lane. One small dictionary entry a batch."""

    def __init__(self) -> None:
        self._taken: dict[str, tuple[float, float]] = {}

    def took(self, channel: str, priority: str, message_id: UUID) -> None:
        """Note a message by its id, whose time is that of its publishing; an id without a time is no broker's."""
        if message_id.version == 7:
            wait = max(0.0, time.time() - (message_id.int >> 80) / 1000)
            self._taken[f"{channel}.{priority}"] = (wait, time.monotonic())
            metrics.QUEUE_SECONDS.observe(channel, priority, value=wait)

    def stats(self) -> dict[str, Any]:
        """For the beat."""
        now = time.monotonic()
        return {
            lane: {"wait": round(wait, 3), "ago": round(now - at, 3)} for lane, (wait, at) in self._taken.copy().items()
        }
