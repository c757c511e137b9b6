"""How severities, states and histories look."""

from collections.abc import Mapping

from django.utils.safestring import SafeString

from analytics.alerts.choices import Happening, MessageState, Phase, Severity
from analytics.alerts.machine import Reading
from analytics.alerts.models import Alert, AlertMessage, AlertRule
from notifications.admin import looks

SEVERITY_TONES: Mapping[str, str] = {Severity.CRITICAL: "red", Severity.WARNING: "amber", Severity.INFO: "blue"}
HAPPENING_TONES: Mapping[str, str] = {
    Happening.OPENED: "red",
    Happening.REMINDED: "amber",
    Happening.RESOLVED: "green",
    Happening.ACKNOWLEDGED: "blue",
}
_MESSAGE_TONES: Mapping[str, str] = {
    MessageState.WAITING: "blue",
    MessageState.SENT: "green",
    MessageState.FAILED: "red",
    MessageState.HANDED_OVER: "amber",
}
_STANDINGS: Mapping[str, tuple[str, str]] = {
    Reading.BAD.value: ("Bad", "red"),
    Reading.BETWEEN.value: ("Near the limit", "amber"),
    Reading.UNKNOWN.value: ("Unknown", "sand"),
    Reading.GOOD.value: ("Good", "green"),
    Reading.QUIET.value: ("Quiet", "grey"),
}


def severity(value: str) -> SafeString:
    return looks.badge(Severity(value).label, SEVERITY_TONES[value])


def state(alert: Alert) -> SafeString:
    """Where it stands, and why nobody is told if that is so."""
    if alert.phase == Phase.RESOLVED:
        return looks.badge("Resolved", "green")
    if alert.phase == Phase.PENDING:
        return looks.badge("Pending", "grey")
    if alert.explained_by_id:
        return looks.badge("Explained", "sand")
    if alert.silence_id:
        return looks.badge("Silenced", "sand")
    if alert.acknowledged_at:
        return looks.badge("Acknowledged", "blue")
    return looks.badge("Firing", SEVERITY_TONES[alert.severity])


def message_state(message: AlertMessage) -> SafeString:
    return looks.badge(message.get_state_display(), _MESSAGE_TONES[message.state])


def standing(rule: AlertRule) -> SafeString:
    """What its last look said."""
    if not rule.is_on:
        return looks.badge("Off", "grey")
    return looks.badge(*_STANDINGS.get(rule.standing, ("Not looked at yet", "sand")))
