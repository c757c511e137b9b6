"""Names and arguments of everything on the broker, and how they come to be.

A direct exchange routes `<channel>.<priority>` to one quorum queue per lane. What a lane's queue gives up on goes
through a fanout exchange, so whatever its routing key, into the dead queue; what nobody can read ends in `malformed`.
Queue arguments cannot change once declared: the prefix carries a version.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from pika.adapters.blocking_connection import BlockingChannel, BlockingConnection
from pika.exceptions import ChannelClosedByBroker

from notifications.errors import BrokerUnavailable
from notifications.lanes import LANES, Lane

#: For `dead` and `malformed`, where no consumer crashes on a message. A number no message reaches: brokers before 4.0
#: know no "unlimited", and later ones drop a message after 20 returns unless told otherwise.
NO_LIMIT = 1_000_000

PRECONDITION_FAILED = 406
NOT_FOUND = 404


class TopologyMismatch(Exception):
    """A queue or exchange of that name exists with other arguments. The text says what to do."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(
            f"{name} exists on the broker with other arguments ({reason}). A queue's arguments cannot be changed."
            " Either set BROKER_PREFIX to a new version (carillon.v2, say) for every process, once workers started"
            " with the old settings have emptied the old queues; or, when it is empty, delete it on the broker and run"
            " declare_topology again."
        )


def exchange() -> str:
    return str(settings.BROKER_PREFIX)


def dead() -> str:
    """The dead-letter exchange, and the queue behind it."""
    return f"{settings.BROKER_PREFIX}.dead"


def malformed() -> str:
    """Where the dead-letter drain keeps bodies that nobody could read, for a person to look at."""
    return f"{settings.BROKER_PREFIX}.malformed"


def routing_key(channel: str, priority: str) -> str:
    return f"{channel}.{priority}"


def queue(channel: str, priority: str) -> str:
    return f"{settings.BROKER_PREFIX}.{routing_key(channel, priority)}"


def lane_arguments() -> dict[str, Any]:
    """At-least-once dead-lettering asks for reject-publish: a full queue refuses, it never drops."""
    return {
        "x-queue-type": "quorum",
        "x-delivery-limit": settings.BROKER_DELIVERY_LIMIT,
        "x-dead-letter-exchange": dead(),
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
        "x-max-length": settings.BROKER_MAX_QUEUE_LENGTH,
    }


def keep_arguments() -> dict[str, Any]:
    """For the two queues at the end of the line."""
    return {"x-queue-type": "quorum", "x-delivery-limit": NO_LIMIT}


def declare(connection: BlockingConnection, lanes: Iterable[Lane] = LANES) -> list[str]:
    """Declare what is missing; returns the names of the queues. Raises TopologyMismatch."""
    asked = _Declaration(connection.channel())
    asked.exchange(exchange(), "direct")
    asked.exchange(dead(), "fanout")
    names = [dead(), malformed()]
    asked.queue(dead(), keep_arguments())
    asked.queue(malformed(), keep_arguments())
    asked.channel.queue_bind(dead(), dead(), routing_key="")
    for channel, priority in lanes:
        name = queue(channel, priority)
        asked.queue(name, lane_arguments())
        asked.channel.queue_bind(name, exchange(), routing_key(channel, priority))
        names.append(name)
    asked.channel.close()
    return names


def delete(connection: BlockingConnection) -> None:
    """Delete the queues and exchanges of this prefix, with everything in them. For tests."""
    channel = connection.channel()
    for name in (*(queue(*lane) for lane in LANES), dead(), malformed()):
        channel.queue_delete(name)
    for name in (exchange(), dead()):
        channel.exchange_delete(name)
    channel.close()


def depth(connection: BlockingConnection, lane: Lane) -> int:
    """Messages ready in a lane's queue; those handed out and unacknowledged are not among them. No queue: 0."""
    channel = connection.channel()
    try:
        answer = channel.queue_declare(queue(*lane), passive=True)
    except ChannelClosedByBroker as error:
        if error.reply_code == NOT_FOUND:
            return 0
        raise
    channel.close()
    return int(answer.method.message_count)


@dataclass(frozen=True, slots=True)
class _Declaration:
    channel: BlockingChannel

    def exchange(self, name: str, kind: str) -> None:
        try:
            self.channel.exchange_declare(name, kind, durable=True)
        except ChannelClosedByBroker as error:
            raise _explained(name, error) from error

    def queue(self, name: str, arguments: dict[str, Any]) -> None:
        try:
            self.channel.queue_declare(name, durable=True, arguments=arguments)
        except ChannelClosedByBroker as error:
            raise _explained(name, error) from error


def _explained(name: str, error: ChannelClosedByBroker) -> Exception:
    if error.reply_code == PRECONDITION_FAILED:
        return TopologyMismatch(name, error.reply_text)
    return BrokerUnavailable(f"the broker refused {name}: {error.reply_code} {error.reply_text}")
