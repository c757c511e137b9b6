from typing import ClassVar

from django.db import models
from django.db.models.functions import Now


class MaintenanceState(models.Model):
    """Where a periodic task stands: a restart goes on, and two maintenance processes do not repeat each other."""

    task = models.CharField(primary_key=True, max_length=32)
    cursor = models.UUIDField(null=True, blank=True)
    done_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "maintenance state"
        ordering: ClassVar = ["task"]

    def __str__(self) -> str:
        return self.task
