"""What the events lane brings, applied: receipts to their deliveries, keywords to the numbers that said them."""

from collections.abc import Sequence
from datetime import UTC, datetime

from core import metrics
from notifications.choices import EventType
from notifications.services.events_lane import Incoming
from notifications.services.receipts import apply_receipts
from preferences.keywords import Keyword
from preferences.keywords.hearing import Said, hear

_KEYWORDS = metrics.counter(
    "keywords_received_total",
    "STOP and START that people answered: stop and start were new, of a number that is somebody's; unknown, of one that"
    " is nobody's; repeated, told of before; odd, not from a phone number.",
    "provider",
    "result",
)


def apply(events: Sequence[Incoming]) -> None:
    """In the transaction that took them. Keywords come last: a bounce and a STOP of the same batch both count."""
    receipts = [event.receipt for event in events if isinstance(event.type, EventType)]
    if receipts:
        apply_receipts(receipts)
    said = [_said(event, event.type) for event in events if isinstance(event.type, Keyword)]
    if said:
        for (provider, result), times in hear(said).items():
            _KEYWORDS.inc(provider, result, by=times)


def _said(event: Incoming, word: Keyword) -> Said:
    moment = event.said_at or event.at or datetime.now(UTC)
    return Said(event.origin, event.event_id, event.sender, word, moment)
