from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from core.ids import uuid7


class ProcessBeat(models.Model):
    """A process that runs, or did until a moment ago: it says so every few seconds (`notifications.beats`).

    A process that stops in good order takes its row away; one that was killed leaves a row that grows old. All times
    are the database's. There is no index but the key, so that a beat stays on its page (HOT): the table is a few
    hundred rows at most, read as a whole.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=16, help_text="web, relay, worker, campaigns, events or maintenance")
    name = models.CharField(max_length=64)
    host = models.CharField(max_length=64)
    pid = models.IntegerField()
    started_at = models.DateTimeField(db_default=Now())
    beat_at = models.DateTimeField(db_default=Now())
    stats = models.JSONField(default=dict)

    class Meta:
        ordering: ClassVar = ["kind", "name", "started_at"]

    def __str__(self) -> str:
        return f"{self.name} on {self.host} ({self.pid})"


class QueueDepth(models.Model):
    """How many messages waited in a lane's queue on the broker when it was last looked at; one row a lane.

    `empty_at` is the last look that found none: whatever waits now was published after it. A message carries up to 500
    deliveries.
    """

    pk = models.CompositePrimaryKey("channel", "priority")
    channel = models.CharField(max_length=8)
    priority = models.CharField(max_length=8)
    messages = models.IntegerField()
    at = models.DateTimeField()
    empty_at = models.DateTimeField(null=True)

    class Meta:
        ordering: ClassVar = ["channel", "priority"]

    def __str__(self) -> str:
        return f"{self.channel}.{self.priority}: {self.messages}"
