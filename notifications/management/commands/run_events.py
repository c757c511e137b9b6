from collections.abc import Sequence
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import InterfaceError, OperationalError, connection, transaction

from core.faults import where
from core.shutdown import Shutdown
from notifications.beats import present
from notifications.messaging.backoff import full_jitter
from notifications.providers.simulated_reports import take_due
from notifications.services import events_lane
from notifications.services.events_lane import Incoming
from notifications.services.receipts import MAX_RECEIPTS, apply_receipts

log = structlog.get_logger(__name__)

#: An event that cannot be applied is tried again after this: the next release may take it.
SET_ASIDE_SECONDS = 3600.0


class Command(BaseCommand):
    help = "Apply what simulated providers report of their messages. Several may run; SIGTERM ends the batch in hand."

    def handle(self, *args: Any, **options: Any) -> None:
        shutdown = Shutdown()
        log.info("events.started")
        try:
            with present("events"):
                run(shutdown)
        finally:
            connection.close()
        log.info("events.stopped")


def step() -> int:
    """One batch: due events taken, applied and gone in one transaction; how many there were. One that cannot be
    applied is put back for later; the others go on."""
    with transaction.atomic():
        events_lane.put(
            [
                Incoming(type=r.type, origin=r.provider, delivery_id=r.delivery_id, detail=r.detail)
                for r in take_due(MAX_RECEIPTS)
            ]
        )
        events = events_lane.take(MAX_RECEIPTS)
        events_lane.set_aside(apply_each(events), seconds=SET_ASIDE_SECONDS)
    return len(events)


def apply_each(events: Sequence[Incoming]) -> list[Incoming]:
    """Apply events inside the transaction that is open; those that cannot be, found by halving the batch.

    Raises OperationalError and InterfaceError: then PostgreSQL is away, and no event is to blame.
    """
    if not events:
        return []
    try:
        with transaction.atomic():
            apply_receipts([event.receipt for event in events])
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        if len(events) == 1:
            log.error(  # noqa: TRY400 - the exception itself may quote an address
                "events.receipt_set_aside",
                delivery=str(events[0].delivery_id),
                type=events[0].type.value,
                error=type(error).__name__,
                at=where(error),
            )
            return list(events)
        half = len(events) // 2
        return apply_each(events[:half]) + apply_each(events[half:])
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
