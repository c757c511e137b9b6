"""What travels between the outbox and a worker, and who carries it. Ids and a version; never content."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol
from uuid import UUID

import orjson

from core.ids import Key, uuid7

VERSION = 1


class Verdict(Enum):
    """What a worker says of a batch; only the consumer acts on it."""

    DONE = "done"  # every outcome is recorded: acknowledge
    AGAIN = "again"  # nothing could be recorded: hand it out again later


@dataclass(frozen=True, slots=True)
class WorkMessage:
    """Deliveries of one lane, by their keys, at most MAX_DELIVERIES of them. `redelivered`: someone was handed these
    before."""

    id: UUID
    channel: str
    priority: str
    deliveries: tuple[Key, ...]
    redelivered: bool = False

    @property
    def is_suspect(self) -> bool:
        """It came back alone: it may be what took its worker down."""
        return self.redelivered and len(self.deliveries) == 1

    @classmethod
    def of(
        cls, channel: str, priority: str, deliveries: Iterable[Key | UUID], *, redelivered: bool = False
    ) -> "WorkMessage":
        keys = tuple([id if isinstance(id, bytes) else id.bytes for id in deliveries])
        return cls(uuid7(), channel, priority, keys, redelivered)

    def encode(self) -> bytes:
        """The wire form: `{"v": 1, "id": ..., "deliveries": [...]}`."""
        return orjson.dumps({"v": VERSION, "id": self.id, "deliveries": [key.hex() for key in self.deliveries]})


class MalformedMessage(ValueError):
    """Bytes on a queue that are not a message of a version this worker knows."""


def decode(body: bytes, *, channel: str, priority: str, redelivered: bool = False) -> WorkMessage:
    """Parse the wire form; an id may have its dashes. Raises MalformedMessage."""
    try:
        raw = orjson.loads(body)
        if raw["v"] != VERSION:
            raise MalformedMessage(f"version {raw['v']!r}")
        ids = tuple([bytes.fromhex(id.replace("-", "")) for id in raw["deliveries"]])
        if any(len(id) != 16 for id in ids):
            raise MalformedMessage("an id of another length")
        return WorkMessage(UUID(raw["id"]), channel, priority, ids, redelivered)
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise MalformedMessage(str(error)) from error


Handler = Callable[[WorkMessage], Verdict]


class Publisher(Protocol):
    """The relay's way to the broker."""

    def publish(self, messages: Sequence[WorkMessage]) -> list[bool]:
        """Publish in one confirm window; per message, whether the broker has taken responsibility for it.

        Raises BrokerUnavailable when the connection is gone: then none may be counted as published.
        """
        ...

    def close(self) -> None: ...


class Consumer(Protocol):
    """A worker's source of work: prefers the higher priority, never starves the lower, acks only what is DONE.

    `run` blocks until `stop` is called (from a signal handler or another thread), then takes no new work, waits for the
    batches in flight (settings.DRAIN_SECONDS at most), returns the rest, and comes back. `handle` is called on
    `settings.WORKER_THREADS` threads. A message handed out more than settings.BROKER_DELIVERY_LIMIT times without an
    ack is poison and ends as dead letters.
    """

    def run(self, handle: Handler) -> None: ...

    def stop(self) -> None: ...
