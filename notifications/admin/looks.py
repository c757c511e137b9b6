"""How statuses, channels, times and addresses look: colours by tone, reasons in words, addresses redacted."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from django.contrib.humanize.templatetags.humanize import naturaltime
from django.utils.html import format_html
from django.utils.safestring import SafeString

from notifications import lanes
from notifications.choices import Channel, EventType, Status
from notifications.words import redacted_email, redacted_phone, words

__all__ = ["redacted_email", "redacted_phone", "words"]

#: Material symbols.
ICONS: Mapping[str, str] = {
    Channel.EMAIL: "mail",
    Channel.PUSH: "phonelink_ring",
    Channel.SMS: "sms",
    Channel.IN_APP: "inbox",
}
TONES: Mapping[str, str] = {
    Status.QUEUED: "grey",
    Status.SENDING: "blue",
    Status.SENT: "teal",
    Status.DELIVERED: "green",
    Status.SKIPPED: "sand",
    Status.BOUNCED: "amber",
    Status.FAILED: "red",
    Status.DEAD: "red",
}
EVENT_TONES: Mapping[str, str] = {
    EventType.SKIPPED: "sand",
    EventType.WITHDRAWN: "sand",
    EventType.SENT: "teal",
    EventType.DEFERRED: "amber",
    EventType.HELD: "sand",
    EventType.DELIVERED: "green",
    EventType.BOUNCED: "amber",
    EventType.COMPLAINED: "red",
    EventType.FAILED: "red",
    EventType.DEAD: "red",
    EventType.REPLAYED: "blue",
    EventType.RECLAIMED: "blue",
    EventType.RESCUED: "blue",
    EventType.OPENED: "green",
    EventType.CLICKED: "green",
    EventType.REOPENED: "green",
    EventType.RECLICKED: "green",
    EventType.MACHINE: "grey",
}


def badge(label: object, tone: str) -> SafeString:
    return format_html('<span class="cr-badge cr-{}">{}</span>', tone, label)


def status_badge(status: str) -> SafeString:
    return badge(Status(status).label, TONES[status])


def symbol(channel: str) -> SafeString:
    """A channel's icon, named for those who cannot see it."""
    label = lanes.label(channel)
    return format_html(
        '<span class="material-symbols-outlined cr-symbol" role="img" aria-label="{}" title="{}">{}</span>',
        label,
        label,
        ICONS.get(channel, "webhook"),
    )


def channel(value: str) -> SafeString:
    return format_html('<span class="cr-channel">{}{}</span>', symbol(value), lanes.label(value))


def long(text: str) -> SafeString:
    """A name or a key in a list's column, which may be one long word."""
    return format_html('<span class="cr-long">{}</span>', text)


def short_id(id: UUID) -> SafeString:
    """The part of a UUIDv7 that differs between neighbours; the whole when pointed at."""
    return format_html('<code class="cr-nowrap" title="{}">…{}</code>', id, str(id)[-12:])


def moment(at: datetime | None) -> str | SafeString:
    """A time people can place: how long ago, and the exact time in UTC when pointed at."""
    if at is None:
        return "—"
    exact = f"{at:%-d %b %Y, %H:%M:%S} UTC"
    tag = '<time class="cr-nowrap" datetime="{}" title="{}">{}</time>'
    return format_html(tag, at.isoformat(), exact, naturaltime(at))


def offset(since: datetime, at: datetime) -> str:
    """The distance of two times, as a timeline shows it: +340 ms, +1.2 s, +3 min, +2 h 5 min, +3 d."""
    seconds = (at - since).total_seconds()
    sign, seconds = ("−" if seconds < 0 else "+"), abs(seconds)
    if seconds < 1:
        return f"{sign}{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{sign}{seconds:.1f} s"
    if seconds < 3600:
        return f"{sign}{int(seconds // 60)} min {int(seconds % 60)} s"
    if seconds < 86_400:
        return f"{sign}{int(seconds // 3600)} h {int(seconds % 3600 // 60)} min"
    return f"{sign}{timedelta(seconds=seconds).days} d"
