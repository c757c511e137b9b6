from typing import ClassVar

from django.db import models
from django.db.models import TextChoices
from django.db.models.functions import Now


class HoldKind(TextChoices):
    HELD = "held", "Waits until it is released"
    CANCELLED = "cancelled", "Is never sent"


class SourceHold(models.Model):
    """A source whose notifications must not leave for now, or ever. Workers know of it within a second
    (`services.holds`); a handful of rows at most."""

    source = models.CharField(max_length=64, primary_key=True)
    kind = models.CharField(max_length=9, choices=HoldKind.choices)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering: ClassVar = ["source"]

    def __str__(self) -> str:
        return f"{self.source}: {self.kind}"
