from typing import ClassVar

from django.db import models
from django.db.models import TextChoices
from django.db.models.functions import Now

from notifications.choices import Channel, Priority


class DeadCause(TextChoices):
    EXHAUSTED = "exhausted", "Every attempt failed"
    POISON = "poison", "Its handling crashed again and again"


class DeadLetter(models.Model):
    """Work the pipeline gave up on, and why; replaying it puts the delivery back into the outbox.

    Open until `replayed_at` says otherwise. With nobody in `replayed_by` it was closed: when its turn came the delivery
    was gone with its week, or had come to another end.
    """

    id = models.BigAutoField(primary_key=True)
    delivery_id = models.UUIDField(db_index=True)
    channel = models.CharField(max_length=8, choices=Channel.choices)
    priority = models.CharField(max_length=8, choices=Priority.choices)
    provider = models.CharField(max_length=32, blank=True, default="")
    cause = models.CharField(max_length=16, choices=DeadCause.choices)
    code = models.CharField(max_length=32, blank=True, default="")
    detail = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(db_default=Now())
    replayed_at = models.DateTimeField(null=True, blank=True)
    replayed_by = models.CharField(max_length=150, blank=True, default="")

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [
            # The workbench groups and pages what is still dead, however much was replayed before.
            models.Index(
                fields=["channel", "provider", "cause", "code", "id"],
                condition=models.Q(replayed_at=None),
                name="dead_letter_open",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.channel} {self.delivery_id}"

    @property
    def is_closed(self) -> bool:
        """Whether there was nothing left to put back."""
        return self.replayed_at is not None and not self.replayed_by
