"""A worker's source of work over RabbitMQ.

Three kinds of threads: the link's I/O thread owns the connection and its heartbeats and only moves messages to the
shelf; the work threads take from the shelf, handle, and ask the I/O thread to settle; one more keeps a link open.
"""

import threading
from collections.abc import Sequence

import pika
import structlog
from django.conf import settings
from django.db import close_old_connections
from pika.channel import Channel

from notifications.errors import BrokerUnavailable
from notifications.messaging import topology
from notifications.messaging.backoff import full_jitter
from notifications.messaging.base import Handler, MalformedMessage, Verdict, decode
from notifications.messaging.connection import Link, short_lived
from notifications.messaging.publisher import REDRIVEN
from notifications.messaging.shelf import Delivered, Shelf
from notifications.messaging.threads import ThreadedConsumer

log = structlog.get_logger(__name__)

#: Messages of a lane held beside those in work, per work thread: the next batch is there when the last is done.
AHEAD = 2


class RabbitConsumer(ThreadedConsumer):
    """Messages of one channel's queues."""

    def __init__(self, channel: str, priorities: Sequence[str]) -> None:
        super().__init__()
        self.channel = channel
        self.priorities = list(priorities)
        self._shelf = Shelf(self.priorities)
        self._link: Link | None = None
        self._fatal: Exception | None = None
        self._keeper = threading.Thread(target=self._keep_connected, name="amqp-keeper", daemon=True)

    def run(self, handle: Handler) -> None:
        """Raises TopologyMismatch when the queues on the broker are not ours."""
        super().run(handle)
        if self._fatal is not None:
            raise self._fatal

    def opened(self) -> None:
        self._keeper.start()

    def draining(self) -> None:
        """Return what nobody has begun, for other workers to take while the batches in hand are finished."""
        if self._link is not None:
            self._link.call(self._cancel)

    def closed(self) -> None:
        if self._link is not None:
            self._link.close()
        self._keeper.join(1.0)

    def work_once(self, handle: Handler) -> None:
        item = self._shelf.take(timeout=0.2)
        if item is None:
            return
        if self.stopping:
            self._shelf.put(item)  # goes back with the others
            return
        failures = 0
        # AGAIN means that nothing could be recorded, PostgreSQL being away. The message is held and tried again here:
        # every return to the queue counts towards its poison limit, and it has done nothing wrong.
        while (verdict := self._verdict(item, handle)) is Verdict.AGAIN:
            failures += 1
            self.pause(full_jitter(failures, base=self.pause_base * 2, cap=self.pause_cap))
            if self.stopping or item.link.lost.is_set():
                return  # unacknowledged: the close returns it
        if verdict is Verdict.DONE:
            item.link.call(lambda channel: channel.basic_ack(item.tag))

    def _verdict(self, item: Delivered, handle: Handler) -> Verdict | None:
        """What the handler says; None when it crashed, and then the message is on its way back already."""
        close_old_connections()
        try:
            return handle(item.message)
        except Exception:
            log.exception(
                "handling crashed; the batch comes back", message_id=str(item.message.id), returns=item.returns
            )
            self.pause(full_jitter(item.returns + 1, base=0.05, cap=2.0))
            # reject, not nack: from RabbitMQ 4.3 on only a reject counts towards the delivery limit.
            item.link.call(lambda channel: channel.basic_reject(item.tag, requeue=True))
            return None

    # --- the link -----------------------------------------------------------------------------------------------

    def _keep_connected(self) -> None:
        failures = 0
        while not self.stopping:
            try:
                link = self._connect()
                failures = 0
                link.lost.wait()
                self._shelf.drop(link)
                if not self.stopping:
                    log.warning("connection to the broker lost", reason=link.reason)
            except topology.TopologyMismatch as error:
                self._fatal = error
                self.stop()
                return
            except BrokerUnavailable as error:
                if failures == 0:
                    log.warning("no connection to the broker; trying again", reason=str(error))
            except Exception:  # without this thread the worker would stand idle for ever
                log.exception("keeping the connection failed; trying again")
            failures += 1
            self.pause(full_jitter(failures, base=0.5, cap=15.0))

    def _connect(self) -> Link:
        with short_lived("topology") as connection:
            topology.declare(connection, [(self.channel, priority) for priority in self.priorities])
        link = Link(f"worker {self.channel}", setup=lambda channel: self._consume(link, channel))
        self._link = link  # before it opens: deliveries may come, and a stop, while `open` still waits
        link.open()
        return link

    def _consume(self, link: Link, channel: Channel) -> None:
        """On the I/O thread: one consumer per lane, each with a prefetch of its own (a global one is refused by newer
        brokers)."""
        channel.add_on_cancel_callback(lambda _frame: channel.close())  # the queue was deleted: start over
        channel.basic_qos(prefetch_count=settings.WORKER_THREADS * AHEAD)
        for priority in self.priorities:
            channel.basic_consume(
                topology.queue(self.channel, priority),
                lambda _channel, method, properties, body, priority=priority: self._arrived(
                    link, priority, method, properties, body
                ),
            )

    def _arrived(
        self,
        link: Link,
        priority: str,
        method: pika.spec.Basic.Deliver,
        properties: pika.BasicProperties,
        body: bytes,
    ) -> None:
        tag = method.delivery_tag
        try:
            again = method.redelivered or bool((properties.headers or {}).get(REDRIVEN))
            message = decode(body, channel=self.channel, priority=priority, redelivered=again)
        except MalformedMessage:
            link.call(lambda channel: channel.basic_reject(tag, requeue=False))  # dead-lettered
            return
        returns = int((properties.headers or {}).get("x-delivery-count", 0)) or int(method.redelivered)
        self._shelf.put(Delivered(message, link, tag, returns))

    def _cancel(self, channel: Channel) -> None:
        """On the I/O thread. Nothing is returned before the last consumer is cancelled: it would come straight back,
        and be counted."""
        waiting = set(channel.consumer_tags)

        def cancelled(frame: pika.frame.Method) -> None:
            waiting.discard(frame.method.consumer_tag)
            if not waiting:
                for item in self._shelf.clear():
                    channel.basic_nack(item.tag, requeue=True)

        for tag in list(waiting):
            channel.basic_cancel(tag, callback=cancelled)
