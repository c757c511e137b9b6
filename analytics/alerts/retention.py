"""Alerts that are over and nobody asks about any more."""

from datetime import timedelta

from django.conf import settings
from django.db.models.functions import Now

from analytics.alerts.models import Alert, AlertMessage, Silence

#: Alerts deleted in one call, with their history; the next call goes on.
BATCH = 1_000


def purge() -> int:
    """Delete alerts that ended more than `settings.ALERT_RETENTION_DAYS` ago (0: none), their messages, and silences as
    old; how many alerts. Several may run at once."""
    days: int = settings.ALERT_RETENTION_DAYS
    if not days:
        return 0
    age = timedelta(days=days)
    old = Alert.objects.filter(resolved_at__lt=Now() - age).order_by("resolved_at").values("pk")[:BATCH]
    deleted, counts = Alert.objects.filter(pk__in=list(old.values_list("pk", flat=True))).delete()
    AlertMessage.objects.filter(created_at__lt=Now() - age).exclude(state="waiting").delete()
    Silence.objects.filter(ends_at__lt=Now() - age).delete()
    return counts.get("analytics.Alert", 0) if deleted else 0
