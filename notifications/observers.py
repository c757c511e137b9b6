"""Who else wants to know: observers named in `settings.DELIVERY_OBSERVERS` and listeners named in
`settings.EVENT_LISTENERS`, called inside the recording transaction.

An observer gets counts, not rows: a batch of 500 sends is one call with a handful of keys. A listener gets each event,
but only of the sources it listens to. What either writes commits with the batch or not at all: an observer's counters
always equal the aggregate of the events, and no event is told that did not happen, nor the other way round.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from core.ids import Key


class OutcomeKey(NamedTuple):
    """What is counted. `outcome` is "accepted" (a notification), "queued" (a delivery), "receipt" (a later word from
    outside) or an EventType; `reason` a SkipReason or FailureCode or empty, for a receipt what became of it; `channel`
    and `provider` are empty where they do not apply.

    A provider that was asked and did not take a message, which then went to the next, is counted under "declined" with
    the FailureCode: no event says so by its type. A SENT event is counted a second time under "latency": how long it
    took since the message was to be sent, its bucket (notifications.latency) as the reason.
    """

    source: str
    category_id: int
    channel: str
    provider: str
    outcome: str
    reason: str = ""


class DeliveryObserver(Protocol):
    def record(self, counts: Mapping[OutcomeKey, int], at: datetime | None = None) -> None:
        """Called with an open transaction. `at` is when it happened; None is the moment of the transaction, as always
        from the pipeline: counters of the past may have been added up already. Must not raise for unknown keys."""
        ...


class Happening(NamedTuple):
    """One event of one delivery. `source` is who asked for its notification; `type` an EventType, `code` its reason in
    our words (SkipReason, FailureCode, ...) and `provider` who had it, where that applies."""

    delivery: Key
    notification: Key
    source: str
    channel: str
    type: str
    code: str = ""
    provider: str = ""


class EventListener(Protocol):
    def sources(self) -> Collection[str]:
        """The sources it listens to now; empty when nobody wants to know anything. Asked for every batch, so it must
        answer from memory."""
        ...

    def tell(self, happenings: Sequence[Happening]) -> None:
        """Called with an open transaction, with what happened in one batch to deliveries of its sources. Must not
        raise for types it does not know."""
        ...
