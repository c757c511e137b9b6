"""Webhooks of providers: checked, read, and put on the events lane before they are answered."""

import time
from collections import Counter
from collections.abc import Mapping

import structlog

from core import metrics
from notifications import registry
from notifications.errors import CarillonError
from notifications.receivers.base import Unreadable, Unverified
from notifications.services import events_lane

log = structlog.get_logger(__name__)

_WEBHOOKS = metrics.counter(
    "webhooks_received_total",
    "Webhooks of providers: taken, unverified, unreadable, or failed (they are to be sent again).",
    "provider",
    "result",
)
#: Refused webhooks are logged by provider this often at most, with their number: anybody may send them.
REFUSALS_LOGGED_EVERY_SECONDS = 60.0


class UnknownSender(CarillonError):
    """There is no provider of that name that sends webhooks."""


def receive(provider: str, headers: Mapping[str, str], body: bytes) -> int:
    """Take a provider's webhook; the number of events in it that mean something. They are durable when this returns.

    `headers` by lower-case name, `body` as it came. Raises UnknownSender, Unverified, Unreadable, LaneFull, or
    django.db's errors; then nothing of it was taken, and the provider may send it again.
    """
    receiver = registry.receiver(provider)
    if receiver is None:
        raise UnknownSender("No provider of that name sends webhooks.")
    answer = "failed"
    try:
        events = receiver.verify_and_parse(headers, body, time.time())
        events_lane.put(events)
        answer = "taken"
    except Unverified as error:
        answer = "unverified"
        refusals.note(provider, str(error))
        raise
    except Unreadable:
        answer = "unreadable"
        raise
    finally:
        count(provider, answer)
    return len(events)


def count(provider: str, answer: str) -> None:
    """For Prometheus: a provider of ours, and how its webhook was answered."""
    _WEBHOOKS.inc(provider, answer)


class Refusals:
    """Says that webhooks were refused, now and then."""

    def __init__(self) -> None:
        self._unsaid: Counter[str] = Counter()
        self._next: dict[str, float] = {}

    def note(self, provider: str, reason: str) -> None:
        """`provider` is one of ours: there are only so many."""
        self._unsaid[provider] += 1
        now = time.monotonic()
        if now >= self._next.get(provider, 0.0):
            self._next[provider] = now + REFUSALS_LOGGED_EVERY_SECONDS
            log.warning("webhook.refused", provider=provider, reason=reason, times=self._unsaid.pop(provider))


refusals = Refusals()
