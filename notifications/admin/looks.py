"""How statuses, channels, times and addresses look: colours by tone, reasons in words, addresses redacted."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from django.contrib.humanize.templatetags.humanize import naturaltime
from django.utils.html import format_html
from django.utils.safestring import SafeString

from notifications import lanes
from notifications.choices import (
    BY_CLICK,
    MACHINE_CODES,
    MAYBE_TWICE,
    Channel,
    EventType,
    FailureCode,
    HoldReason,
    SkipReason,
    Status,
)
from notifications.models.dead_letter import DeadCause

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
#: Why nothing was sent, as one would tell a colleague.
REASONS: Mapping[str, str] = {
    SkipReason.OPTED_OUT: "The recipient said no to this channel for this category.",
    SkipReason.NO_ADDRESS: "The recipient has no address for this channel.",
    SkipReason.SUPPRESSED: "The address must not be used: it bounced for good, complained or was blocked by hand.",
    SkipReason.DUPLICATE: "The recipient was sent the same message a moment ago.",
    SkipReason.RATE_LIMITED: "The recipient's limit for this span of time was used up.",
    SkipReason.FREQUENCY_CAPPED: "The recipient has had enough messages of this kind for now.",
    SkipReason.EXPIRED: "It was too late: the notification had expired before its turn came.",
    SkipReason.CANCELLED: "It was cancelled before it left.",
}
_WORDS: Mapping[str, str] = {
    **dict(HoldReason.choices),
    **dict(FailureCode.choices),
    **dict(DeadCause.choices),
    **REASONS,
    MAYBE_TWICE: "Nobody knows whether an earlier attempt went through",
    BY_CLICK: "Who clicked has opened it",
    **MACHINE_CODES,
}


def words(code: str) -> str:
    """A SkipReason, HoldReason, FailureCode or DeadCause in words; an unknown code as it is."""
    return str(_WORDS.get(code, code))


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


def redacted_email(address: str) -> str:
    """`j•••@example.com`: enough to recognise, too little to use."""
    local, at, domain = address.rpartition("@")
    return f"{local[:1]}•••{at}{domain}" if at else "•••"


def redacted_phone(number: str) -> str:
    """`+49 ••• 78`."""
    return f"{number[:3]} ••• {number[-2:]}" if len(number) > 6 else "•••"
