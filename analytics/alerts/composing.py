"""From a message's row to what is sent: read when it is sent, so that a late one says how things stand now."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from django.conf import settings
from django.urls import reverse

from analytics.alerts.choices import SEVERITY_ORDER, Happening
from analytics.alerts.models import AlertEvent, AlertMessage
from analytics.alerts.routes.base import Line, Outgoing

#: Lines of one message. When this many alerts open at once, the first ones tell the story.
MAX_LINES = 50


def compose(message: AlertMessage, now: datetime) -> Outgoing:
    """What opened and fires yet comes first, by severity. What opened and resolved before it was told is told once, as
    resolved."""
    if message.is_test:
        return Outgoing(
            str(message.pk), now, "A test of this route", (), _site("admin:analytics_alert_changelist"), True
        )
    events = list(message.events.select_related("alert__rule").order_by("id"))
    last = {event.alert_id: event for event in events}  # an alert's later word stands for its earlier ones
    lines = sorted((_line(event) for event in last.values()), key=_order)
    url = lines[0].url if len(lines) == 1 else _site("admin:analytics_alert_changelist")
    return Outgoing(str(message.pk), now, subject(lines), lines[:MAX_LINES], url)


def subject(lines: Sequence[Line]) -> str:
    """One alert by its name, several by their number: "3 alerts: 2 opened, 1 resolved. Critical: No worker: SMS"."""
    if not lines:
        return "Nothing to tell"
    if len(lines) == 1:
        return lines[0].head[:200]
    counts = Counter(line.what for line in lines)
    words = {Happening.OPENED: "opened", Happening.REMINDED: "still there", Happening.RESOLVED: "resolved"}
    parts = ", ".join(f"{counts[what]} {word}" for what, word in words.items() if counts[what])
    return f"{len(lines)} alerts: {parts}. {lines[0].head}"[:200]


def _order(line: Line) -> tuple[bool, int, int]:
    return line.is_over, SEVERITY_ORDER[line.severity], line.alert_id


def _line(event: AlertEvent) -> Line:
    alert = event.alert
    return Line(
        alert_id=alert.pk,
        fingerprint=alert.fingerprint,
        what=event.what,
        at=event.at,
        title=alert.title,
        severity=alert.severity,
        channel=alert.channel,
        provider=alert.provider,
        summary=event.note or alert.summary,
        advice=alert.rule.advice if alert.rule else "",
        opened_at=alert.opened_at,
        resolved_at=alert.resolved_at,
        url=_site("admin:analytics_alert_change", alert.pk),
    )


def _site(name: str, *args: object) -> str:
    return f"{settings.PUBLIC_URL}{reverse(name, args=args)}"
