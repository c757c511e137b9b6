import threading
from collections.abc import Sequence
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import InterfaceError, OperationalError, connection, transaction

from core import collector
from core.faults import where
from core.rounds import Stop, repeat
from core.shutdown import Shutdown
from notifications.beats import present
from notifications.messaging.backoff import full_jitter
from notifications.providers import simulated_courier
from notifications.services import events_lane
from notifications.services.events_lane import Incoming, Taker
from notifications.services.incoming import apply
from notifications.services.receipts import MAX_RECEIPTS

log = structlog.get_logger(__name__)

#: An event that cannot be applied is tried again after this: the next release may take it.
SET_ASIDE_SECONDS = 3600.0
#: At a stop the courier may finish the webhooks under way; what it leaves comes back after its lease.
COURIER_LEAVES_SECONDS = 3.0


class Command(BaseCommand):
    help = (
        "Apply what providers report and people click, and send the webhooks of simulated providers. Several may run;"
        " SIGTERM ends the batch in hand."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--simulator-webhook-url",
            default=settings.SIMULATOR_WEBHOOK_URL or settings.PUBLIC_URL,
            help="where simulated providers send their webhooks; default SIMULATOR_WEBHOOK_URL, or PUBLIC_URL",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        collector.relax()
        shutdown = Shutdown()
        log.info("events.started")
        courier = threading.Thread(
            target=simulated_courier.run, args=(options["simulator_webhook_url"], shutdown), name="courier", daemon=True
        )
        try:
            with present("events"):
                if simulated_courier.has_work():
                    courier.start()
                run(shutdown)
                if courier.is_alive():
                    courier.join(COURIER_LEAVES_SECONDS)
        finally:
            connection.close()
        log.info("events.stopped")


def step(taker: Taker | None = None) -> int:
    """One batch: due events taken, applied and gone in one transaction; how many there were. One that cannot be
    applied is put back for later; the others go on."""
    taker = taker or Taker()
    try:
        with transaction.atomic():
            events = taker.take(MAX_RECEIPTS)
            events_lane.set_aside(apply_each(events), seconds=SET_ASIDE_SECONDS)
    except Exception:
        taker.forget()  # they are back
        raise
    return len(events)


def apply_each(events: Sequence[Incoming]) -> list[Incoming]:
    """Apply events inside the transaction that is open; those that cannot be, found by halving the batch.

    Raises OperationalError and InterfaceError: then PostgreSQL is away, and no event is to blame.
    """
    if not events:
        return []
    try:
        with transaction.atomic():
            apply(events)
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


def run(stop: Stop) -> None:
    """Batches until a stop is asked for. PostgreSQL's absence, and whatever else a batch meets, is waited out with a
    growing, jittered pause."""
    taker = Taker()
    repeat(
        "events",
        lambda: step(taker) == MAX_RECEIPTS,
        stop,
        idle=lambda: settings.EVENTS_POLL_SECONDS,
        pause=lambda failures: full_jitter(failures, base=0.25, cap=10.0),
    )
