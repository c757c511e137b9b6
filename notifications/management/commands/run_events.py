from collections.abc import Sequence
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import InterfaceError, OperationalError, connection, transaction

from core.faults import where
from core.shutdown import Shutdown
from notifications.messaging.backoff import full_jitter
from notifications.providers.simulated_reports import postpone, take_due
from notifications.services.claims import ProviderReceipt
from notifications.services.receipts import MAX_RECEIPTS, apply_receipts

log = structlog.get_logger(__name__)

#: A report that cannot be applied is tried again after this: the next release may take it.
SET_ASIDE_SECONDS = 3600.0


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
    """One batch: due reports taken, applied and gone in one transaction; how many there were. One that cannot be
    applied is put back for later; the others go on."""
    with transaction.atomic():
        receipts = take_due(MAX_RECEIPTS)
        bad = apply_each(receipts)
        postpone(bad, SET_ASIDE_SECONDS)
    return len(receipts)


def apply_each(receipts: Sequence[ProviderReceipt]) -> list[ProviderReceipt]:
    """Apply receipts inside the transaction that is open; those that cannot be, found by halving the batch.

    Raises OperationalError and InterfaceError: then PostgreSQL is away, and no receipt is to blame.
    """
    if not receipts:
        return []
    try:
        with transaction.atomic():
            apply_receipts(receipts)
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        if len(receipts) == 1:
            log.error(  # noqa: TRY400 - the exception itself may quote an address
                "events.receipt_set_aside",
                delivery=str(receipts[0].delivery_id),
                type=receipts[0].type.value,
                error=type(error).__name__,
                at=where(error),
            )
            return list(receipts)
        half = len(receipts) // 2
        return apply_each(receipts[:half]) + apply_each(receipts[half:])
    return []


def run(shutdown: Shutdown) -> None:
    """Batches until a stop is asked for. PostgreSQL's absence, and whatever else a batch meets, is waited out with a
    growing, jittered pause."""
    failures = 0
    while not shutdown.requested:
        try:
            taken = step()
        except Exception as error:
            failures += 1
            if failures == 1:
                log.warning("events.waiting", error=type(error).__name__, at=where(error))
            connection.close()
            shutdown.wait(full_jitter(failures, base=0.25, cap=10.0))
            continue
        if failures:
            log.warning("events.resumed", after_failures=failures)
            failures = 0
        if taken < MAX_RECEIPTS:
            shutdown.wait(settings.EVENTS_POLL_SECONDS)
