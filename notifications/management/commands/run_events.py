from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import Error as DatabaseError
from django.db import connection, transaction

from core.shutdown import Shutdown
from notifications.messaging.backoff import full_jitter
from notifications.providers.simulated_reports import take_due
from notifications.services.receipts import MAX_RECEIPTS, apply_receipts

log = structlog.get_logger(__name__)


class Command(BaseCommand):
    help = "Apply what simulated providers report of their messages. Several may run; SIGTERM ends the batch in hand."

    def handle(self, *args: Any, **options: Any) -> None:
        shutdown = Shutdown()
        log.info("events.started")
        try:
            run(shutdown)
        finally:
            connection.close()
        log.info("events.stopped")


def step() -> int:
    """One batch: due reports taken, applied and gone in one transaction; how many there were."""
    with transaction.atomic():
        receipts = take_due(MAX_RECEIPTS)
        if receipts:
            apply_receipts(receipts)
    return len(receipts)


def run(shutdown: Shutdown) -> None:
    """Batches until a stop is asked for. PostgreSQL's absence is waited out with a growing, jittered pause."""
    failures = 0
    while not shutdown.requested:
        try:
            taken = step()
        except DatabaseError as error:
            failures += 1
            if failures == 1:
                log.warning("events.waiting", error=type(error).__name__)
            connection.close()
            shutdown.wait(full_jitter(failures, base=0.25, cap=10.0))
            continue
        if failures:
            log.warning("events.resumed", after_failures=failures)
            failures = 0
        if taken < MAX_RECEIPTS:
            shutdown.wait(settings.EVENTS_POLL_SECONDS)
