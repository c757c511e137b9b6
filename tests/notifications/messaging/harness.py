"""What the contract needs of a transport: put deliveries into it, run consumers on it, look at what is left."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Protocol
from uuid import UUID

from django.db import connection

from core.ids import uuid, uuid7
from notifications import messaging
from notifications.choices import Status
from notifications.messaging.base import Consumer, Handler, Verdict, WorkMessage
from notifications.models import Delivery, OutboxMessage
from notifications.relay import Relay

PRIORITIES = ("critical", "high", "normal", "low")


def wait_for(condition: Callable[[], object], *, seconds: float = 15.0, what: str = "") -> None:
    """Ask until it is so; fail with a sentence after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what or condition}"
        time.sleep(0.02)


def ids(count: int) -> list[UUID]:
    return [uuid7() for _ in range(count)]


def uuids(message: WorkMessage) -> list[UUID]:
    """Its deliveries as the models name them."""
    return [uuid(key) for key in message.deliveries]


def enqueue(deliveries: Sequence[UUID], *, channel: str = "email", priority: str = "normal") -> OutboxMessage:
    """One outbox row, due now."""
    return OutboxMessage.objects.create(channel=channel, priority=priority, delivery_ids=list(deliveries))


def queued_delivery(*, channel: str = "email", priority: str = "normal") -> UUID:
    """A delivery row that stands where accepting leaves it. Its notification does not matter here."""
    return Delivery.objects.create(
        notification_id=uuid7(), recipient_id=uuid7(), channel=channel, priority=priority, status=Status.QUEUED
    ).id


class Recorder:
    """A handler that remembers what it was given, and answers as it is told."""

    def __init__(self, *, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.answers: list[Verdict | Exception] = []  # of the first messages; then DONE
        self.poison: set[UUID] = set()  # crash on every message with one of these
        self.gate = threading.Event()  # closed: handling waits
        self.gate.set()
        self.messages: list[WorkMessage] = []
        self.done: list[UUID] = []

    def __call__(self, message: WorkMessage) -> Verdict:
        self.messages.append(message)
        assert self.gate.wait(30)
        time.sleep(self.seconds)
        if self.poison.intersection(uuids(message)):
            raise RuntimeError("poison")
        answer = self.answers.pop(0) if self.answers else Verdict.DONE
        if isinstance(answer, Exception):
            raise answer
        if answer is Verdict.DONE:
            self.done.extend(uuids(message))
        return answer

    @property
    def seen(self) -> Counter[UUID]:
        return Counter(delivery for message in list(self.messages) for delivery in uuids(message))


@contextmanager
def running(
    *handlers: Handler, channel: str = "email", priorities: Sequence[str] = PRIORITIES
) -> Iterator[list[Consumer]]:
    """A consumer per handler, each as if in a process of its own; stopped and joined at the end."""
    with ExitStack() as stack:
        consumers = []
        for handler in handlers:
            consumer = messaging.consumer(channel, priorities)
            thread = threading.Thread(target=_run, args=(consumer, handler), daemon=True)
            thread.start()
            stack.callback(_join, thread)
            stack.callback(consumer.stop)
            consumers.append(consumer)
        yield consumers


def _run(consumer: Consumer, handler: Handler) -> None:
    try:
        consumer.run(handler)
    finally:
        connection.close()


def _join(thread: threading.Thread) -> None:
    thread.join(30)
    assert not thread.is_alive(), "the consumer did not stop"


class Transport(Protocol):
    def flush(self) -> None:
        """Bring what was enqueued to where consumers look."""
        ...

    def left(self) -> int:
        """Rows and messages nobody holds or has finished."""
        ...

    def drain_dead(self) -> None:
        """What maintenance does for it."""
        ...


class DatabaseTransport:
    """Outbox rows are the queue, and the consumer that meets poison buries it."""

    def flush(self) -> None: ...

    def left(self) -> int:
        return OutboxMessage.objects.count()

    def drain_dead(self) -> None: ...


class RabbitTransport:
    """The relay moves what was enqueued; queues and outbox hold what is left."""

    def __init__(self, relay: Relay) -> None:
        self.relay = relay

    def flush(self) -> None:
        while self.relay.step():
            pass

    def left(self) -> int:
        return OutboxMessage.objects.count() + sum(messaging.depths().values())

    def drain_dead(self) -> None:
        messaging.DeadLetterDrain().step()
        self.flush()
