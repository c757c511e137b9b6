"""The relay's way to RabbitMQ: many messages in flight, each confirmed by the broker before it counts.

A confirm for each message in turn allows 1.3k messages a second on one connection, a window of 1,000 allows 28k.
"""

import threading
from collections.abc import Sequence

import pika
from django.conf import settings
from pika.channel import Channel

from notifications.errors import BrokerUnavailable
from notifications.messaging import topology
from notifications.messaging.base import VERSION, WorkMessage
from notifications.messaging.connection import Link, short_lived

#: Header of a message whose deliveries have been given up on once and now travel one by one.
REDRIVEN = "carillon-redriven"


class Window:
    """One call of `publish`: what is on its way and what the broker said. Until `done` it is the I/O thread's."""

    def __init__(self, messages: Sequence[WorkMessage], first_tag: int) -> None:
        self.messages = messages
        self.taken = [False] * len(messages)
        self.done = threading.Event()
        self.failure = ""
        self._first_tag = first_tag
        self._pending = dict.fromkeys(range(first_tag, first_tag + len(messages)))
        self._returned: set[str] = set()

    def send(self, channel: Channel) -> None:
        for message in self.messages:
            channel.basic_publish(
                topology.exchange(),
                topology.routing_key(message.channel, message.priority),
                message.encode(),
                _properties(message),
                mandatory=True,  # without it a message that no queue wants is confirmed and dropped
            )

    def returned(self, message_id: str) -> None:
        """No queue wanted this one. The broker says so before it confirms it."""
        self._returned.add(message_id)

    def confirmed(self, tag: int, *, multiple: bool, taken: bool) -> None:
        for one in self._through(tag) if multiple else [tag]:
            if one in self._pending:
                del self._pending[one]
                index = one - self._first_tag
                self.taken[index] = taken and str(self.messages[index].id) not in self._returned
        if not self._pending:
            self.done.set()

    def _through(self, tag: int) -> list[int]:
        """Every pending tag up to and including this one; they stand in ascending order."""
        tags = []
        for one in self._pending:
            if one > tag:
                break
            tags.append(one)
        return tags

    def fail(self, reason: str) -> None:
        self.failure = reason
        self.done.set()


class RabbitPublisher:
    """Publishes in confirm windows over a connection of its own, which carries no consumer.

    For one thread at a time. Connects when first used and again after a loss; pausing between tries is the caller's.
    """

    def __init__(self) -> None:
        self._link: Link | None = None
        self._window: Window | None = None
        self._next_tag = 1

    def publish(self, messages: Sequence[WorkMessage]) -> list[bool]:
        """Per message, whether the broker has stored it: acknowledged, and not returned for want of a queue. A full
        queue refuses, which is False.

        Raises BrokerUnavailable when there is no connection, it is lost or blocked, or the confirms take longer than
        settings.BROKER_CONFIRM_TIMEOUT_SECONDS. Some messages may have arrived all the same; publish all of them again.
        """
        if not messages:
            return []
        link = self._connected()
        if link.blocked:
            raise BrokerUnavailable("the broker blocks publishing (memory or disk alarm)")
        window = self._window = Window(messages, self._next_tag)
        self._next_tag += len(messages)
        if link.lost.is_set():
            window.fail(link.reason)
        link.call(window.send)
        answered = window.done.wait(settings.BROKER_CONFIRM_TIMEOUT_SECONDS)
        self._window = None
        if not answered or window.failure:
            blocked = link.blocked
            self._drop(link)
            raise BrokerUnavailable(window.failure or ("blocked by the broker" if blocked else "no confirm in time"))
        return window.taken

    def close(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None

    def _connected(self) -> Link:
        if self._link is not None and not self._link.is_open:
            self._drop(self._link)
        if self._link is None:
            with short_lived("topology") as connection:
                topology.declare(connection)
            self._next_tag = 1
            link = Link("relay", setup=self._setup, on_lost=self._lost)
            link.open()
            self._link = link
        return self._link

    def _drop(self, link: Link) -> None:
        link.cut()
        self._link = None

    # --- on the I/O thread --------------------------------------------------------------------------------------

    def _setup(self, channel: Channel) -> None:
        channel.add_on_return_callback(self._returned)
        channel.confirm_delivery(self._confirmed)

    def _returned(self, _channel: Channel, _method: object, properties: pika.BasicProperties, _body: bytes) -> None:
        if self._window is not None:
            self._window.returned(properties.message_id)

    def _confirmed(self, frame: pika.frame.Method) -> None:
        if self._window is not None:
            method = frame.method
            taken = isinstance(method, pika.spec.Basic.Ack)
            self._window.confirmed(method.delivery_tag, multiple=method.multiple, taken=taken)

    def _lost(self, reason: str) -> None:
        if self._window is not None:
            self._window.fail(reason)


def _properties(message: WorkMessage) -> pika.BasicProperties:
    return pika.BasicProperties(
        message_id=str(message.id),
        app_id="carillon",
        type=f"work.v{VERSION}",
        content_type="application/json",
        delivery_mode=pika.DeliveryMode.Persistent.value,
        headers={REDRIVEN: True} if message.redelivered else None,
    )
