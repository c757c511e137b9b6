"""What must happen from time to time: partitions ahead, retention, the reconciler, dead letters of the broker."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from django.db.models.functions import Now

from notifications import messaging, partitions
from notifications.errors import BrokerUnavailable
from notifications.models import IdempotencyRecord
from notifications.reconciler import Reconciler

log = structlog.get_logger(__name__)

#: Rows of old idempotency records deleted at a time.
PURGE = 10_000


def keep_partitions() -> None:
    """Partitions for the weeks to come, old ones dropped, and a word about rows that fell outside."""
    now = _database_now()
    if made := partitions.ensure(now, settings.PARTITIONS_AHEAD):
        log.info("maintenance.partitions_made", partitions=made)
    if settings.RETENTION_WEEKS and (dropped := partitions.drop_before(now, settings.RETENTION_WEEKS)):
        log.info("maintenance.partitions_dropped", partitions=dropped)
    if strays := {table: count for table, count in partitions.strays().items() if count}:
        log.warning("maintenance.rows_outside_every_week", **strays)


def purge_idempotency() -> None:
    """Answers older than their 24 hours."""
    old = IdempotencyRecord.objects.filter(created_at__lt=Now() - timedelta(hours=24))
    while True:
        deleted, _ = IdempotencyRecord.objects.filter(pk__in=old.values("pk")[:PURGE]).delete()
        if deleted < PURGE:
            return


def reconcile() -> None:
    """Sweep until the present is reached."""
    reconciler = Reconciler()
    while reconciler.step().more:
        pass


def drain_dead_letters() -> None:
    """What the broker gave up on becomes rows."""
    if messaging.uses_broker():
        from notifications.messaging.dead import DeadLetterDrain

        while DeadLetterDrain().step():
            pass


@dataclass(slots=True)
class Task:
    """A function and its rhythm, in seconds; `due` is monotonic time."""

    run: Callable[[], None]
    every: float
    due: float = field(default=0.0)


class Maintenance:
    """Runs each task in its rhythm. A task that fails is logged and comes round again; the others go on."""

    def __init__(self) -> None:
        self.tasks = [
            Task(keep_partitions, every=3600.0),
            Task(purge_idempotency, every=3600.0),
            Task(reconcile, every=30.0),
            Task(drain_dead_letters, every=2.0),
        ]

    def step(self) -> None:
        """Run what is due."""
        for task in self.tasks:
            if task.due > time.monotonic():
                continue
            try:
                task.run()
            except (OperationalError, InterfaceError, BrokerUnavailable) as error:
                log.warning("maintenance.task_waits", task=task.run.__name__, error=type(error).__name__)
                connection.close()
            except Exception:
                log.exception("maintenance.task_failed", task=task.run.__name__)
            task.due = time.monotonic() + task.every


def _database_now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        now: datetime = cursor.fetchone()[0]
    return now
