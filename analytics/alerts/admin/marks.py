"""How severities and states look."""

from collections.abc import Mapping

from django.utils.safestring import SafeString

from analytics.alerts.choices import Phase, Severity
from analytics.alerts.models import Alert
from notifications.admin import looks

SEVERITY_TONES: Mapping[str, str] = {Severity.CRITICAL: "red", Severity.WARNING: "amber", Severity.INFO: "blue"}


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
