"""What must happen from time to time: partitions ahead, retention, the reconciler, dead letters and their replays.

A task works in pieces: it yields wherever it may be interrupted, with no transaction open. One that has much to do
shares the process with the others, and a stop waits for a piece and not for the task.
"""

import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from django.db.models.functions import Now
from django.utils.module_loading import import_string

from notifications import beats, messaging, metrics, partitions
from notifications.digests import closing, upkeep
from notifications.errors import BrokerUnavailable
from notifications.models import IdempotencyRecord
from notifications.providers import simulated_calls
from notifications.reconciler import Reconciler
from notifications.retention import Retention
from notifications.services import replays

log = structlog.get_logger(__name__)

#: Rows of old idempotency records deleted at a time.
PURGE = 10_000
#: How long a task may go on before the others have their turn, in seconds. Whatever piece it is at is finished.
TURN = 1.0
#: A task that found a server away or a table busy comes round again after this many seconds, or in its rhythm if that
#: is shorter. Waiting for a busy table holds up its writers for two seconds, so not every minute.
RETRY = 600.0
#: One whose rhythm is shorter than this waits twice as long each time, up to this many seconds: reaching for a broker
#: that hangs takes ten seconds, in which nobody else has a turn.
SHORT_RETRY = 30.0


def keep_partitions() -> Iterator[None]:
    """Partitions for the weeks to come and for rows that fell outside every week; a word about rows that stay there."""
    now = _database_now()
    if made := partitions.ensure(now, settings.PARTITIONS_AHEAD):
        log.info("maintenance.partitions_made", partitions=made)
    yield
    if made := partitions.take_in_strays(now):
        log.warning("maintenance.strays_taken_in", partitions=made)
    if strays := {table: count for table, count in partitions.strays().items() if count}:
        log.warning("maintenance.rows_outside_every_week", **strays)


def purge_idempotency() -> Iterator[None]:
    """Answers older than their 24 hours."""
    old = IdempotencyRecord.objects.filter(created_at__lt=Now() - timedelta(hours=24))
    while True:
        deleted, _ = IdempotencyRecord.objects.filter(pk__in=old.values("pk")[:PURGE]).delete()
        if deleted < PURGE:
            return
        yield


def reconcile() -> Iterator[None]:
    """Sweep until the present is reached."""
    reconciler = Reconciler()
    while reconciler.step().more:
        yield


def drain_dead_letters() -> Iterator[None]:
    """What the broker gave up on becomes rows."""
    if messaging.uses_broker():
        from notifications.messaging.dead import DeadLetterDrain

        while DeadLetterDrain().step():
            yield


def replay_dead_letters() -> Iterator[None]:
    """Runs under way get what their rate allows."""
    while replays.step():
        yield


def piece(function: Callable[[], object]) -> Callable[[], Iterator[None]]:
    """A function as a task of one piece: it is bounded by itself."""

    def call() -> Iterator[None]:
        function()
        yield

    return call


def other_apps(path: str) -> Callable[[], Iterator[None]]:
    """A function of another app (settings.MAINTENANCE_TASKS) as a task, looked up when its turn comes: of one piece, or
    of as many as the iterator has that it answers with."""

    def call() -> Iterator[None]:
        done = import_string(path)()
        if isinstance(done, Iterator):
            yield from done
        yield

    return call


@dataclass(slots=True)
class Task:
    """Work in pieces and its rhythm, in seconds; `due` is monotonic time. `rest` is what a turn left undone."""

    name: str
    start: Callable[[], Iterator[None]]
    every: float
    due: float = field(default=0.0)
    rest: Iterator[None] | None = field(default=None)
    failures: int = field(default=0)

    def retry_in(self) -> float:
        """Seconds until the next try of a task that has just failed for the `failures`-th time in a row."""
        if self.every >= SHORT_RETRY:
            return min(self.every, RETRY)
        return min(self.every * 2.0 ** (self.failures - 1), SHORT_RETRY)

    def take_turn(self, stopping: Callable[[], bool]) -> None:
        """Go on until the task is done, the turn is over or a stop was asked for. Raises what the task raises, and
        begins anew the next time."""
        end = time.monotonic() + TURN
        pieces, self.rest = self.rest or self.start(), None
        for _ in pieces:
            if stopping() or time.monotonic() >= end:
                self.rest = pieces
                return


class Maintenance:
    """Gives each task its turn in its rhythm. A task that fails is logged and comes round again; the others go on."""

    def __init__(self, *, stopping: Callable[[], bool] = lambda: False) -> None:
        self.stopping = stopping
        self.retention = Retention()
        self.tasks = [
            Task("keep_partitions", keep_partitions, every=3600.0),
            Task("retire_weeks", self._retire_weeks, every=3600.0),
            Task("purge_idempotency", purge_idempotency, every=3600.0),
            Task("prune_beats", piece(beats.prune), every=60.0),
            Task("prune_simulated_calls", simulated_calls.prune, every=60.0),
            *(Task(path, other_apps(path), every=every) for path, every in settings.MAINTENANCE_TASKS.items()),
            Task("close_digests", closing.close_due, every=1.0),
            Task("purge_digests", piece(upkeep.purge), every=3600.0),
            Task("reconcile", reconcile, every=30.0),
            Task("drain_dead_letters", drain_dead_letters, every=2.0),
            Task("replay_dead_letters", replay_dead_letters, every=1.0),
        ]

    def step(self) -> bool:
        """One turn for each task that is due. Whether one has more to do: then the next step should come at once."""
        for task in self.tasks:
            if not self.stopping() and task.due <= time.monotonic():
                self._run(task)
        return any(task.rest is not None for task in self.tasks)

    def close(self) -> None:
        """Tell tasks in the middle that there is no further turn: what they hold on to is let go for others."""
        for task in self.tasks:
            if isinstance(task.rest, Generator):
                task.rest.close()
            task.rest = None

    def _run(self, task: Task) -> None:
        pause, result, began = task.every, "done", time.monotonic()
        try:
            task.take_turn(self.stopping)
            task.failures = 0
        except (OperationalError, InterfaceError, BrokerUnavailable) as error:
            cause = type(error.__cause__ or error).__name__
            log.warning("maintenance.task_waits", task=task.name, error=cause)
            connection.close()
            task.failures += 1
            pause, result = task.retry_in(), "waits"
        except Exception:
            log.exception("maintenance.task_failed", task=task.name)
            result = "failed"
        metrics.TASKS.inc(task.name, result)
        metrics.TASK_SECONDS.observe(task.name, value=time.monotonic() - began)
        if task.rest is None:
            task.due = time.monotonic() + pause

    def _retire_weeks(self) -> Iterator[None]:
        if settings.RETENTION_WEEKS:
            yield from self.retention.sweep(_database_now(), settings.RETENTION_WEEKS)


def _database_now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        now: datetime = cursor.fetchone()[0]
    return now
