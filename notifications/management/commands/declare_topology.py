from typing import Any

from django.core.management.base import BaseCommand, CommandError

from notifications import messaging
from notifications.errors import BrokerUnavailable


class Command(BaseCommand):
    """Relay and workers declare what they need when they start; this is for doing it ahead of a deployment."""

    help = "Declare exchanges and queues on RabbitMQ. Harmless to repeat."

    def handle(self, *args: Any, **options: Any) -> None:
        if not messaging.uses_broker():
            raise CommandError("BROKER_URL is empty: with the database transport there is nothing to declare.")
        try:
            queues = messaging.declare_topology()
        except messaging.TopologyMismatch as error:
            raise CommandError(str(error)) from None
        except BrokerUnavailable as error:
            raise CommandError(f"The broker at BROKER_URL could not be reached: {error}") from None
        for queue in queues:
            self.stdout.write(queue)
        self.stdout.write(self.style.SUCCESS(f"{len(queues)} queues stand."))
