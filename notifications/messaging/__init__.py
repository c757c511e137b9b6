"""How work travels from the outbox to a worker: over RabbitMQ when settings.BROKER_URL is set, else PostgreSQL alone.

The only package that knows the broker. Others use these functions and the contracts of `base`.
"""

from collections.abc import Sequence

from django.conf import settings

from notifications.lanes import LANES
from notifications.messaging import topology
from notifications.messaging.base import Consumer, Publisher
from notifications.messaging.connection import short_lived
from notifications.messaging.consumer import RabbitConsumer
from notifications.messaging.database import DatabaseConsumer
from notifications.messaging.dead import DeadLetterDrain
from notifications.messaging.publisher import RabbitPublisher
from notifications.messaging.topology import TopologyMismatch

__all__ = [
    "DeadLetterDrain",
    "TopologyMismatch",
    "consumer",
    "declare_topology",
    "delete_topology",
    "depths",
    "publisher",
    "uses_broker",
]


def uses_broker() -> bool:
    """Whether work goes through RabbitMQ, and a relay is therefore needed."""
    return bool(settings.BROKER_URL)


def consumer(channel: str, priorities: Sequence[str]) -> Consumer:
    """A source of work for one channel; `priorities` from the highest to the lowest."""
    return RabbitConsumer(channel, priorities) if uses_broker() else DatabaseConsumer(channel, priorities)


def publisher() -> Publisher:
    """The relay's way to the broker. Only with a broker."""
    return RabbitPublisher()


def declare_topology() -> list[str]:
    """Declare exchanges and queues; returns the queues' names. Raises TopologyMismatch, BrokerUnavailable."""
    with short_lived("topology") as connection:
        return topology.declare(connection)


def delete_topology() -> None:
    """Delete this prefix's queues, with what is in them, and its exchanges. For tests."""
    with short_lived("topology") as connection:
        topology.delete(connection)


def depths() -> dict[tuple[str, str], int]:
    """(channel, priority) -> messages waiting on the broker, without those in a worker's hands. Without a broker: {}.

    A message carries up to 500 deliveries. Raises BrokerUnavailable.
    """
    if not uses_broker():
        return {}
    with short_lived("depths") as connection:
        return {lane: topology.depth(connection, lane) for lane in LANES}
