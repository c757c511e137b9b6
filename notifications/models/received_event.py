from typing import ClassVar

from django.db import models
from django.db.models.functions import Now


class ReceivedEvent(models.Model):
    """The events lane: what was said of a delivery from outside, or by who got one, and is not applied yet.

    A row is written before whoever said it gets an answer, and is gone in the transaction that applies it. Read and
    written by `notifications.services.events_lane` alone. `due_at` lies ahead of `received_at` for a row that could not
    be applied and was set aside.
    """

    id = models.BigAutoField(primary_key=True)
    received_at = models.DateTimeField(db_default=Now())
    due_at = models.DateTimeField(db_default=Now())
    type = models.CharField(max_length=10, help_text="an EventType or a Keyword")
    origin = models.CharField(max_length=32)
    delivery_id = models.UUIDField()
    event_id = models.CharField(max_length=128, db_default="")
    code = models.CharField(max_length=32, db_default="")
    machine = models.CharField(max_length=32, db_default="")
    detail = models.TextField(db_default="")
    sender = models.CharField(max_length=32, db_default="", help_text="the number that said a Keyword")
    said_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "waiting event"
        verbose_name_plural = "events lane"
        indexes: ClassVar = [models.Index(fields=["due_at"], name="received_event_due")]

    def __str__(self) -> str:
        return f"{self.type} {self.delivery_id}"
