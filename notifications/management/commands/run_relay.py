from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import Error as DatabaseError
from django.db import connection

from core import collector
from core.postgresql.direct import look_up_by_key
from core.shutdown import Shutdown
from notifications import messaging
from notifications.beats import present
from notifications.errors import BrokerUnavailable
from notifications.messaging.backoff import full_jitter
from notifications.relay import Relay

log = structlog.get_logger(__name__)


class Command(BaseCommand):
    """Each state is logged once, when it begins: relaying, or waiting for the broker or for PostgreSQL."""

    help = "Move due outbox rows to RabbitMQ. Several may run; SIGTERM ends the round in hand and exits 0."

    def handle(self, *args: Any, **options: Any) -> None:
        if not messaging.uses_broker():
            raise CommandError(
                "BROKER_URL is empty, so workers take their work straight from PostgreSQL and no relay is needed."
                " To send it through RabbitMQ, set BROKER_URL, for example amqp://user:password@host:5672/%2F."
            )
        look_up_by_key()
        collector.relax()
        shutdown = Shutdown()
        publisher = messaging.publisher()
        try:
            with present("relay"):
                relay(Relay(publisher), shutdown)
        except messaging.TopologyMismatch as error:
            raise CommandError(str(error)) from None
        finally:
            publisher.close()
            connection.close()


def relay(relay: Relay, shutdown: Shutdown) -> None:
    """Rounds until a stop is asked for. Outages are waited out with a growing, jittered pause.

    Raises TopologyMismatch.
    """
    failures = 0
    declared = False
    while not shutdown.requested:
        try:
            if not declared:  # at the start, so that queues of another shape are noticed before there is work
                messaging.declare_topology()
                declared = True
            relay.step()
        except (BrokerUnavailable, DatabaseError) as error:
            failures += 1
            if failures == 1:
                log.warning("relay waits", error=type(error).__name__, reason=str(error)[:200])
            connection.close()
            shutdown.wait(full_jitter(failures, base=0.25, cap=10.0))
            continue
        if failures:
            log.warning("relay goes on", after_failures=failures)
            failures = 0
        if not relay.busy:
            shutdown.wait(settings.RELAY_POLL_SECONDS)
