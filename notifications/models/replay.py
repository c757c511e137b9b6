from typing import ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import TextChoices
from django.db.models.functions import Now


class ReplayState(TextChoices):
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    STOPPED = "stopped", "Stopped"


class ReplayRun(models.Model):
    """Dead letters put back at a chosen rate: who asked, for which, how many there were, and how far it is.

    `filters` narrows the letters (channel, priority, provider, cause, code, since, until, ids); only letters up to
    `upto` belong to the run, so that what dies again is not replayed in a circle. `cursor` is the last letter that was
    dealt with.
    """

    id = models.BigAutoField(primary_key=True)
    filters = models.JSONField(default=dict)
    per_minute = models.PositiveIntegerField(validators=[MinValueValidator(1), MaxValueValidator(1_000_000)])
    by = models.CharField(max_length=150)
    via = models.CharField(max_length=8, help_text="admin or command")
    matched = models.PositiveIntegerField()
    replayed = models.PositiveIntegerField(default=0)
    cursor = models.BigIntegerField(default=0)
    upto = models.BigIntegerField()
    state = models.CharField(max_length=8, choices=ReplayState.choices, default=ReplayState.RUNNING)
    created_at = models.DateTimeField(db_default=Now())
    stepped_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True, blank=True)
    stopped_by = models.CharField(max_length=150, blank=True, default="")

    class Meta:
        ordering: ClassVar = ["-id"]
        verbose_name = "replay"

    def __str__(self) -> str:
        return f"Replay {self.pk} by {self.by}"
