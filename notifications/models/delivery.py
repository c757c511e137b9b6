from typing import ClassVar

from django.contrib.postgres.functions import TransactionNow
from django.db import models
from django.db.models.functions import Now

from core.ids import uuid7
from notifications.choices import Channel, EventType, FailureCode, Priority, SkipReason, Status
from notifications.models.notification import Notification
from preferences.models import DeviceToken, Recipient


class Delivery(models.Model):
    """One notification on one channel to one address. Written only by NotificationService (new) and DeliveryTracker.

    Partitioned by week on its UUIDv7 id. No index stands on a column that changes, so that updates stay HOT.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    notification = models.ForeignKey(
        Notification, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="deliveries"
    )
    recipient = models.ForeignKey(Recipient, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    channel = models.CharField(max_length=8, choices=Channel.choices)
    priority = models.CharField(max_length=8, choices=Priority.choices)
    device_token = models.ForeignKey(
        DeviceToken, on_delete=models.DO_NOTHING, null=True, db_constraint=False, db_index=False
    )
    status = models.CharField(max_length=9, choices=Status.choices, default=Status.QUEUED)
    skip_reason = models.CharField(max_length=16, choices=SkipReason.choices, blank=True, default="")
    # How often it was claimed: the number of the claim guards every word on it. `holds` of these asked no provider, so
    # `attempts - holds` attempts are used up.
    attempts = models.IntegerField(default=0)
    holds = models.IntegerField(default=0, db_default=0)
    lease_until = models.DateTimeField(null=True)
    provider = models.CharField(max_length=32, blank=True, default="")
    error_code = models.CharField(max_length=32, choices=FailureCode.choices, blank=True, default="")
    created_at = models.DateTimeField(db_default=Now())
    sent_at = models.DateTimeField(null=True)
    delivered_at = models.DateTimeField(null=True)
    opened_at = models.DateTimeField(null=True)
    clicked_at = models.DateTimeField(null=True)

    class Meta:
        ordering: ClassVar = ["-id"]
        verbose_name_plural = "deliveries"
        indexes: ClassVar = [models.Index(fields=["notification"], name="delivery_notification")]

    def __str__(self) -> str:
        return f"{self.channel} {self.id}"

    @property
    def tries(self) -> int:
        """Attempts used up: claims at which a provider was asked, or a worker was lost."""
        return self.attempts - self.holds


class DeliveryEvent(models.Model):
    """What happened to a delivery, once and for all: rows are only ever added. Partitioned by week on its id."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    delivery = models.ForeignKey(
        Delivery, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="events"
    )
    type = models.CharField(max_length=10, choices=EventType.choices)
    # Of its transaction, as everything that is counted or set with it: counters by minute equal the events exactly.
    at = models.DateTimeField(db_default=TransactionNow())
    attempt = models.SmallIntegerField(default=0)
    provider = models.CharField(max_length=32, blank=True, default="")
    code = models.CharField(max_length=32, blank=True, default="", help_text="SkipReason or FailureCode")
    provider_message_id = models.CharField(max_length=128, blank=True, default="")
    detail = models.TextField(blank=True, default="")

    class Meta:
        ordering: ClassVar = ["id"]
        indexes: ClassVar = [models.Index(fields=["delivery"], name="event_delivery")]

    def __str__(self) -> str:
        return f"{self.type} {self.at}"
