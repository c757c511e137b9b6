"""The tables of analytics. Counters: what the dashboard, the alerts and the campaign page read instead of
the record.

A minute's counters are written by the pipeline. `analytics.rollups.rolling` adds them up, once they are complete, into
cells of ten minutes, an hour, a day and a week; each tier is kept longer than the one before. A cell is in three
tables, two of which leave out what most questions leave out, so that a year is read from a few thousand rows.
"""

from typing import ClassVar

from django.db import models

from analytics.alerts.models import Alert, AlertEvent, AlertMessage, AlertRoute, AlertRule, Silence
from analytics.engagement.models import TrackedLink
from analytics.webhooks.models import WebhookAttempt, WebhookEndpoint, WebhookMessage

__all__ = [
    "Alert",
    "AlertEvent",
    "AlertMessage",
    "AlertRoute",
    "AlertRule",
    "MinuteCount",
    "Silence",
    "TrackedLink",
    "WebhookAttempt",
    "WebhookEndpoint",
    "WebhookMessage",
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


class Cell(models.Model):
    """The sum of the counters of one span of `step` minutes that begins at `at`, by what its table tells apart."""

    step = models.SmallIntegerField()
    at = models.DateTimeField()
    channel = models.CharField(max_length=8)
    provider = models.CharField(max_length=32)
    outcome = models.CharField(max_length=16)
    reason = models.CharField(max_length=32)
    count = models.BigIntegerField()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} +{self.step} min, {self.channel} {self.outcome}: {self.count}"


class TotalCell(Cell):
    """Of all sources and categories together: a few dozen rows a cell, whatever happens."""

    pk = models.CompositePrimaryKey("step", "at", "outcome", "channel", "provider", "reason")


class CategoryCell(Cell):
    """Of each category. The key serves questions about one, the index rankings of all."""

    pk = models.CompositePrimaryKey("category_id", "step", "at", "outcome", "channel", "provider", "reason")
    category_id = models.SmallIntegerField()

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["step", "outcome", "at"],
                include=["category_id", "channel", "provider", "count"],
                name="categorycell_outcome",
            )
        ]


class SourceCell(Cell):
    """Of each source, and its categories: not by ten minutes, there are many. The key serves questions about one, the
    index rankings of all."""

    pk = models.CompositePrimaryKey("source", "step", "at", "outcome", "category_id", "channel", "provider", "reason")
    source = models.CharField(max_length=64)
    category_id = models.SmallIntegerField()

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["step", "outcome", "at"],
                include=["source", "category_id", "channel", "provider", "count"],
                name="sourcecell_outcome",
            )
        ]


class RollupMark(models.Model):
    """How far a tier is: its cells before `rolled_until` are complete, those since `kept_since` are all still there.
    Step 1 is the minute tier, which is complete at every moment."""

    step = models.SmallIntegerField(primary_key=True)
    rolled_until = models.DateTimeField(null=True)
    kept_since = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.step} min"
