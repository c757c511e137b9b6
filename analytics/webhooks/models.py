"""Outbound webhooks: who is told, what they are told, and how each telling went."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from analytics.webhooks.vocabulary import AttemptOutcome, EndReason, MessageStatus, OffReason
from core.ids import uuid7
from notifications.models import ApiKey


class WebhookEndpoint(models.Model):
    """A URL that is told what becomes of the notifications that its API keys sent.

    More than one key while a service exchanges one for another. `events` names the kinds it wants; none means all.
    `secrets` are Standard Webhooks secrets, newest first; the second signs beside it until `old_secret_until`.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    url = models.CharField("URL", max_length=2000)
    description = models.CharField(max_length=200, blank=True, default="")
    keys = models.ManyToManyField(ApiKey, related_name="webhook_endpoints", verbose_name="API keys")
    events = ArrayField(models.CharField(max_length=10), default=list, blank=True)
    secrets = ArrayField(models.CharField(max_length=64), editable=False)
    old_secret_until = models.DateTimeField(null=True, editable=False)
    is_on = models.BooleanField(default=True)
    off_reason = models.CharField(max_length=8, choices=OffReason.choices, blank=True, default="", editable=False)
    off_at = models.DateTimeField(null=True, editable=False)
    # Since when nothing but failures came back; null while it answers.
    failing_since = models.DateTimeField(null=True, editable=False)
    last_success_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    deleted_at = models.DateTimeField(null=True, editable=False)  # seen by nobody; maintenance clears its log away

    class Meta:
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return self.url


class WebhookMessage(models.Model):
    """One event told to one endpoint: one `webhook-id`, however often it is sent.

    Written in the transaction that records the event, with its place in the outbox. What it says is put together when
    it is sent, from the record: here are ids and codes. `attempts` counts the claims, and the number of the claim
    guards every word on it; `holds` of these asked nobody.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    endpoint = models.ForeignKey(WebhookEndpoint, on_delete=models.CASCADE, db_index=False, related_name="messages")
    type = models.CharField(max_length=10)
    notification_id = models.UUIDField(null=True)
    delivery_id = models.UUIDField(null=True)
    channel = models.CharField(max_length=8, blank=True, default="", db_default="")
    code = models.CharField(max_length=32, blank=True, default="", db_default="")
    provider = models.CharField(max_length=32, blank=True, default="", db_default="")
    at = models.DateTimeField(db_default=Now())
    status = models.CharField(
        max_length=9, choices=MessageStatus.choices, default=MessageStatus.QUEUED, db_default=MessageStatus.QUEUED.value
    )
    attempts = models.IntegerField(default=0, db_default=0)
    holds = models.IntegerField(default=0, db_default=0)
    lease_until = models.DateTimeField(null=True)
    end_reason = models.CharField(max_length=9, choices=EndReason.choices, blank=True, default="", db_default="")
    ended_at = models.DateTimeField(null=True)
    replayed_by = models.CharField(max_length=150, blank=True, default="", db_default="")

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [
            models.Index(fields=["endpoint", "id"], name="webhookmessage_endpoint"),
            models.Index(fields=["notification_id"], name="webhookmessage_about"),
            # What has not ended, and what may be replayed: the sweep and the replay read no more than that.
            models.Index(
                fields=["id"], condition=models.Q(status__in=["queued", "sending"]), name="webhookmessage_open"
            ),
            models.Index(fields=["endpoint", "id"], condition=models.Q(status="failed"), name="webhookmessage_failed"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.id}"

    @property
    def tries(self) -> int:
        """Requests made, or begun by a worker that was lost."""
        return self.attempts - self.holds


class WebhookAttempt(models.Model):
    """One request and its answer. `status` is null when none came; `answer` is its first bytes."""

    id = models.BigAutoField(primary_key=True)
    message = models.ForeignKey(
        WebhookMessage, on_delete=models.CASCADE, db_constraint=False, related_name="attempt_log"
    )
    number = models.IntegerField()
    at = models.DateTimeField(db_default=Now())
    outcome = models.CharField(max_length=9, choices=AttemptOutcome.choices)
    status = models.SmallIntegerField(null=True)
    milliseconds = models.IntegerField()
    answer = models.TextField(blank=True, default="")

    class Meta:
        ordering: ClassVar = ["id"]

    def __str__(self) -> str:
        return f"{self.message_id} {self.number}: {self.outcome}"
