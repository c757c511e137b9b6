"""What the queues gave up on, turned into rows a person can see and replay.

The broker counts a return for every message a dying worker held, so what lands here need not be guilty. Each delivery
of a dead message is therefore sent once more, alone; only what dies alone is poison.
"""

from collections.abc import Sequence

import pika
import structlog
from django.db import transaction
from pika.adapters.blocking_connection import BlockingChannel

from notifications.messaging import topology
from notifications.messaging.base import MalformedMessage, WorkMessage, decode
from notifications.messaging.connection import short_lived
from notifications.messaging.publisher import REDRIVEN
from notifications.models.dead_letter import DeadCause
from notifications.models.outbox import OutboxMessage

log = structlog.get_logger(__name__)

#: Messages in one step; the rest wait for the next.
STEP = 100
#: Of an unreadable body, in the log.
SHOWN_BYTES = 32


class DeadLetterDrain:
    """Empties the dead queue into PostgreSQL. Several may run."""

    def step(self) -> int:
        """Take at most STEP messages; returns how many were dealt with. Raises BrokerUnavailable.

        They are acknowledged after the commit: a crash in between brings them again, and burying or re-driving twice
        is harmless.
        """
        with short_lived("dead letters") as connection:
            topology.declare(connection, ())
            channel = connection.channel()
            channel.confirm_delivery()
            return self._drain(channel)

    def _drain(self, channel: BlockingChannel) -> int:
        suspects: list[WorkMessage] = []
        poison: list[WorkMessage] = []
        tags: list[int] = []
        while len(tags) < STEP:
            method, properties, body = channel.basic_get(topology.dead())
            if method is None:
                break
            tags.append(method.delivery_tag)
            message = _read(method.routing_key, body)
            if message is None:
                self._keep(channel, method.routing_key, properties, body)
            elif (properties.headers or {}).get(REDRIVEN) and len(message.deliveries) == 1:
                poison.append(message)
            else:
                suspects.append(message)
        if suspects or poison:
            self._record(suspects, poison)
        if tags:
            channel.basic_ack(tags[-1], multiple=True)
        return len(tags)

    def _record(self, suspects: Sequence[WorkMessage], poison: Sequence[WorkMessage]) -> None:
        from notifications.services.tracking import DeliveryTracker

        alone = [
            # `takes` keeps the relay from putting them together again, and makes it mark them as re-driven.
            OutboxMessage(channel=message.channel, priority=message.priority, delivery_ids=[delivery], takes=1)
            for message in suspects
            for delivery in message.deliveries
        ]
        buried = [delivery for message in poison for delivery in message.deliveries]
        with transaction.atomic():
            OutboxMessage.objects.bulk_create(alone, batch_size=1000)
            if buried:
                detail = "Its worker crashed again and again, alone too."
                DeliveryTracker().bury(buried, cause=DeadCause.POISON, detail=detail)
        if alone:
            log.warning("messages came back too often; their deliveries now go one by one", deliveries=len(alone))
        if buried:
            log.error("poison deliveries buried", deliveries=[str(id) for id in buried])

    def _keep(self, channel: BlockingChannel, routing_key: str, properties: pika.BasicProperties, body: bytes) -> None:
        """No delivery to name, so no row to write: kept on the broker for a person, durably, and out of the way."""
        log.error(
            "unreadable message", queue=topology.malformed(), routing_key=routing_key, body=body[:SHOWN_BYTES].hex()
        )
        kept = pika.BasicProperties(
            message_id=properties.message_id,
            headers={"from": routing_key},
            delivery_mode=pika.DeliveryMode.Persistent.value,
        )
        channel.basic_publish("", topology.malformed(), body, kept, mandatory=True)


def _read(routing_key: str, body: bytes) -> WorkMessage | None:
    """The message, when lane and body make sense."""
    channel, _, priority = routing_key.partition(".")
    if (channel, priority) not in topology.LANES:
        return None
    try:
        return decode(body, channel=channel, priority=priority)
    except MalformedMessage:
        return None
