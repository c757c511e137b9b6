"""The tables of analytics. Counters by minute: what the dashboard and the campaign page read instead of the record."""

from typing import ClassVar

from django.db import models

from analytics.alerts.models import Alert, AlertEvent, AlertMessage, AlertRoute, AlertRule, Silence
from analytics.engagement.models import TrackedLink

__all__ = [
    "Alert",
    "AlertEvent",
    "AlertMessage",
    "AlertRoute",
    "AlertRule",
    "MinuteCount",
    "Silence",
    "TrackedLink",
]


class MinuteCount(models.Model):
    """How often one outcome happened in one minute. Written only by `analytics.observer.MinuteCounts`.

    The key is everything but the count. `shard` keeps writers apart: no two open transactions add to the same row, so a
    figure is always the sum over the shards. `minute` is the database's clock, cut to the minute, in UTC.
    """

    pk = models.CompositePrimaryKey(
        "minute", "source", "category_id", "channel", "provider", "outcome", "reason", "shard"
    )
    minute = models.DateTimeField()
    source = models.CharField(max_length=64)
    category_id = models.SmallIntegerField()
    channel = models.CharField(max_length=8)
    provider = models.CharField(max_length=32)
    outcome = models.CharField(max_length=16)
    reason = models.CharField(max_length=32)
    shard = models.SmallIntegerField()
    count = models.BigIntegerField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["source", "minute"], name="minutecount_source")]

    def __str__(self) -> str:
        return f"{self.minute:%H:%M} {self.source} {self.channel} {self.outcome}: {self.count}"
