"""How work travels from the outbox to a worker: over RabbitMQ when settings.BROKER_URL is set, else PostgreSQL alone.

The only package that knows the broker. Others use these factories and the contracts of `base`.
"""

from collections.abc import Sequence

from django.conf import settings

from notifications.messaging.base import Consumer, Publisher


def uses_broker() -> bool:
    """Whether work goes through RabbitMQ, and a relay is therefore needed."""
    return bool(settings.BROKER_URL)


def consumer(channel: str, priorities: Sequence[str]) -> Consumer:
    """A source of work for one channel; `priorities` from the highest to the lowest."""
    if uses_broker():
        from notifications.messaging.consumer import RabbitConsumer

        return RabbitConsumer(channel, priorities)
    from notifications.messaging.database import DatabaseConsumer

    return DatabaseConsumer(channel, priorities)


def publisher() -> Publisher:
    """The relay's way to the broker. Only with a broker."""
    from notifications.messaging.publisher import RabbitPublisher

    return RabbitPublisher()
