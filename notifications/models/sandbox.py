from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from core.ids import uuid7


class SandboxState(models.Model):
    """How a simulated provider behaves from now on: options laid over those of its settings, until the row is gone."""

    provider = models.CharField(primary_key=True, max_length=32)
    options = models.JSONField(default=dict)
    by = models.CharField(max_length=150, blank=True, default="")
    at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering: ClassVar = ["provider"]
        verbose_name_plural = "sandbox states"

    def __str__(self) -> str:
        return self.provider


class SimulatedCall(models.Model):
    """One message as a simulated provider received it, and what it answered: what a real one would have seen."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    at = models.DateTimeField(db_default=Now())
    provider = models.CharField(max_length=32)
    delivery_id = models.UUIDField(db_index=True)
    recipient_id = models.UUIDField(db_index=True)
    attempt = models.SmallIntegerField()
    is_test = models.BooleanField()
    address = models.TextField()
    platform = models.CharField(max_length=8, blank=True, default="")
    category = models.CharField(max_length=64, blank=True, default="")
    content = models.JSONField()
    headers = models.JSONField(default=dict, db_default={}, help_text="What an email carries beside its content")
    outcome = models.CharField(max_length=32, help_text="accepted, or a FailureCode")
    retry_after = models.FloatField(null=True)

    class Meta:
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.provider} {self.delivery_id} {self.outcome}"
