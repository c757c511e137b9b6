"""What a receiver is: one class that knows how a vendor signs its webhooks and what its words mean.

A receiver stands beside its provider, `PROVIDERS[name]["receiver"] = {"class": ..., "options": {...}}`, and is built
once per process. `notifications.receivers.simulated` is one; tests/notifications/receivers/contract.py tests them all.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from core.standard_webhooks import TOLERANCE_SECONDS
from notifications.errors import CarillonError, FieldError
from notifications.services.events_lane import Incoming

__all__ = ["MAX_EVENTS", "TOLERANCE_SECONDS", "Receiver", "Unreadable", "Unverified"]

#: Events in one webhook. Vendors send some hundred, a thousand at most.
MAX_EVENTS = 5_000


class Unverified(CarillonError):
    """The webhook is not from the vendor, or not of now. The text says which, and quotes nothing of it."""


class Unreadable(CarillonError):
    """The webhook is the vendor's and makes no sense; `errors` say where and why. It is refused whole."""

    def __init__(self, *errors: FieldError) -> None:
        self.errors = errors
        super().__init__(f"{errors[0].pointer} {errors[0].message}")


class Receiver(Protocol):
    """Takes a vendor's webhook to pieces. It may be called on the web process's event loop, so it computes and asks
    nobody: no query, no request."""

    name: str

    def verify_and_parse(self, headers: Mapping[str, str], body: bytes, now: float) -> Sequence[Incoming]:
        """What the webhook says, in our words, at most MAX_EVENTS.

        The signature is checked first, over the body as it came, against `now` in Unix seconds. `headers` are by
        lower-case name. What the vendor tells and we have no word for is left out: it is no mistake. A text message
        that somebody sent is a Keyword of `preferences.keywords.meaning_of`, with its `sender`, and `said_at` if the
        vendor tells it, or is left out as well: what else people write stays with the vendor. Raises Unverified or
        Unreadable.
        """
        ...
