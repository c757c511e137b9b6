"""What others may know of alerts: the dashboard, `top`, the sidebar, Prometheus."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Max, QuerySet
from django.urls import reverse

from analytics.alerts.choices import SEVERITY_ORDER, MessageState, Phase
from analytics.alerts.models import Alert, AlertMessage, AlertRoute, AlertRule
from core.moments import database_now

#: Open alerts that are shown.
MAX_OPEN = 200
#: Rules that were not looked at for this long are not looked at: no run_maintenance lives, or it hangs.
STALE = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class OpenAlert:
    """An alert that fires. `explained_by` is the title of its root cause, "" without one; `url` its page in the
    admin, a path."""

    id: int
    title: str
    severity: str  # a Severity
    channel: str
    provider: str
    summary: str
    opened_at: datetime
    acknowledged_by: str
    is_silenced: bool
    explained_by: str
    url: str

    @property
    def is_loud(self) -> bool:
        """Whether it asks for somebody: nobody has taken it on, and nothing mutes it."""
        return not (self.acknowledged_by or self.is_silenced or self.explained_by)


@dataclass(frozen=True, slots=True)
class Health:
    """Whether alerting itself can be relied on. `evaluated_at` None: never."""

    evaluated_at: datetime | None
    is_stale: bool
    has_routes: bool
    failed_messages: int  # of the last day


def open_alerts() -> list[OpenAlert]:
    """Alerts that fire, the most severe and then the newest first; at most MAX_OPEN. One query."""
    rows = _firing().select_related("explained_by")[:MAX_OPEN]
    alerts = [
        OpenAlert(
            id=row.pk,
            title=row.title,
            severity=row.severity,
            channel=row.channel,
            provider=row.provider,
            summary=row.summary,
            opened_at=row.opened_at or row.since,
            acknowledged_by=row.acknowledged_by,
            is_silenced=row.silence_id is not None,
            explained_by=row.explained_by.title if row.explained_by else "",
            url=reverse("admin:analytics_alert_change", args=[row.pk]),
        )
        for row in rows
    ]
    return sorted(alerts, key=lambda one: (SEVERITY_ORDER[one.severity], not one.is_loud))


def loud_count() -> int:
    """Alerts that ask for somebody: what a badge shows."""
    return _firing().filter(acknowledged_at=None, silence=None, explained_by=None).count()


def health() -> Health:
    evaluated_at = AlertRule.objects.filter(is_on=True).aggregate(at=Max("seen_at"))["at"]
    now = database_now()
    failed = AlertMessage.objects.filter(state=MessageState.FAILED, created_at__gte=now - timedelta(days=1))
    return Health(
        evaluated_at=evaluated_at,
        is_stale=evaluated_at is None or now - evaluated_at > STALE,
        has_routes=AlertRoute.objects.filter(is_on=True).exists(),
        failed_messages=failed.count(),
    )


def _firing() -> QuerySet[Alert]:
    return Alert.objects.filter(resolved_at=None, phase=Phase.FIRING).order_by("-opened_at")
