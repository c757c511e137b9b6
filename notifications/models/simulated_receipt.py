from typing import ClassVar

from django.db import models

from notifications.choices import EventType


class SimulatedReceipt(models.Model):
    """What a simulated provider will report later, as a real one would: delivered, bounced, opened, clicked."""

    id = models.BigAutoField(primary_key=True)
    due_at = models.DateTimeField()
    provider = models.CharField(max_length=32)
    delivery_id = models.UUIDField()
    type = models.CharField(max_length=10, choices=EventType.choices)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["due_at"], name="simulated_receipt_due")]

    def __str__(self) -> str:
        return f"{self.type} {self.delivery_id}"
