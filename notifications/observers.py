"""Who else wants to know: observers named in `settings.DELIVERY_OBSERVERS`, called inside the recording transaction.

An observer gets counts, not rows: a batch of 500 sends is one call with a handful of keys. What it writes commits with
the batch or not at all, so its counters always equal the aggregate of the events.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple, Protocol


class OutcomeKey(NamedTuple):
    """What is counted. `outcome` is "accepted" (a notification), "queued" (a delivery), "receipt" (a later word from
    outside) or an EventType; `reason` a SkipReason or FailureCode or empty, for a receipt what became of it; `channel`
    and `provider` are empty where they do not apply.

    A SENT event is counted a second time under "latency": how long it took since the message was to be sent, its bucket
    (notifications.latency) as the reason.
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
