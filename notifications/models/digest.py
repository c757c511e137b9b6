from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from core.ids import uuid7
from notifications.choices import Channel
from notifications.models.notification import Notification
from preferences.models import Category, Recipient


class DigestState(models.TextChoices):
    """Open until its moment. One that is empty then (nothing followed, or all was cancelled) is told to nobody."""

    OPEN = "open", "Open"
    SENT = "sent", "Sent"
    EMPTY = "empty", "Nothing to send"


class Digest(models.Model):
    """What is gathered for one person, of one category and key. One is open at a time: a partial unique index.

    `latest_at` is set for a sliding window, whose `closes_at` moves with each item up to there. `channels` are those on
    which its items were held back. `notification_id` is what it was sent as. `has_wish`: a worker has that in hand with
    an item that was cancelled since. Foreign keys carry no constraint, as those of the record.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    recipient = models.ForeignKey(Recipient, on_delete=models.DO_NOTHING, db_constraint=False)
    category = models.ForeignKey(Category, on_delete=models.PROTECT, db_constraint=False, db_index=False)
    key = models.CharField(max_length=128, blank=True, default="")
    is_test = models.BooleanField(default=False)
    state = models.CharField(max_length=5, choices=DigestState.choices, default=DigestState.OPEN)
    channels = ArrayField(models.CharField(max_length=8, choices=Channel.choices), default=list)
    count = models.PositiveIntegerField(default=0)
    opens_at = models.DateTimeField(db_default=Now())
    closes_at = models.DateTimeField()
    latest_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)
    notification_id = models.UUIDField(null=True)
    has_wish = models.BooleanField(default=False, db_default=False)

    class Meta:
        ordering: ClassVar = ["closes_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["recipient", "category", "key", "is_test"],
                condition=models.Q(state="open"),
                name="digest_open_once",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["closes_at"], condition=models.Q(state="open"), name="digest_due"),
            models.Index(fields=["closed_at"], condition=~models.Q(state="open"), name="digest_closed"),
            models.Index(
                fields=["notification_id"], condition=models.Q(notification_id__isnull=False), name="digest_sent_as"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.category}, {'1 message' if self.count == 1 else f'{self.count:,} messages'}"


class DigestItem(models.Model):
    """A notification that waits in a digest, or went with it. Its key is the notification: it goes with one only."""

    notification = models.OneToOneField(
        Notification, on_delete=models.DO_NOTHING, primary_key=True, db_constraint=False, related_name="digest_item"
    )
    digest = models.ForeignKey(Digest, on_delete=models.CASCADE, db_constraint=False, related_name="items")
    at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return str(self.notification_id)
