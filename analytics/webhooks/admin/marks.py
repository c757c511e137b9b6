"""How endpoints, messages and attempts look."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from django.utils.html import format_html
from django.utils.safestring import SafeString

from analytics.webhooks.models import WebhookEndpoint, WebhookMessage
from analytics.webhooks.vocabulary import TEST, AttemptOutcome, EndReason, MessageStatus, OffReason
from notifications.admin import looks
from notifications.choices import EventType

_TONES: Mapping[str, str] = {
    MessageStatus.QUEUED: "grey",
    MessageStatus.SENDING: "blue",
    MessageStatus.DELIVERED: "green",
    MessageStatus.FAILED: "red",
}
_ATTEMPT_TONES: Mapping[str, str] = {
    AttemptOutcome.OK: "green",
    AttemptOutcome.THROTTLED: "amber",
    AttemptOutcome.GONE: "red",
}


def message(row: WebhookMessage) -> SafeString:
    """Where a message stands; one that waits after a failure, or for its endpoint to come back, says so."""
    if row.status == MessageStatus.QUEUED and row.tries:
        return looks.badge("Will be tried again", "amber")
    if row.status == MessageStatus.QUEUED and row.holds:
        return looks.badge("Held back", "sand")
    return looks.badge(MessageStatus(row.status).label, _TONES[row.status])


def attempt_tone(outcome: str) -> str:
    return _ATTEMPT_TONES.get(outcome, "amber")


def why(row: WebhookMessage) -> str:
    return str(EndReason(row.end_reason).label) if row.end_reason else ""


def endpoint(row: WebhookEndpoint) -> SafeString:
    """Whether it is told anything, and how that goes."""
    if not row.is_on:
        label = OffReason(row.off_reason).label if row.off_reason else "Off"
        return looks.badge(label, "grey" if row.off_reason in ("", OffReason.BY_HAND) else "red")
    if row.failing_since is not None:
        return looks.badge("Failing", "amber")
    return looks.badge("Answers", "green") if row.last_success_at else looks.badge("On", "teal")


def address(url: str) -> SafeString:
    """The host, and the path in a quieter voice."""
    parts = urlsplit(url)
    rest = url.partition(parts.netloc)[2]
    shown = rest if len(rest) <= 40 else f"{rest[:39]}…"
    return format_html('<span title="{}"><b>{}</b><span class="cr-subtle">{}</span></span>', url, parts.netloc, shown)


def event(type: str) -> str:
    """A kind of event in a word or two."""
    if type == TEST:
        return "Test"
    return str(EventType(type).label).partition(",")[0] if type in EventType.values else type
