from typing import ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import TextChoices
from django.db.models.functions import Now


class LimitScope(TextChoices):
    """What a limit counts, and what happens beyond it."""

    RECIPIENT = "recipient", "Notifications to one person: what is more is skipped"
    API_KEY = "api_key", "Calls with one API key: what is more is refused with 429"
    PROVIDER = "provider", "Messages to one provider: what is more waits"
    GLOBAL = "global", "Messages to all providers together: what is more waits"


class RateLimit(models.Model):
    """At most `max` in any window of `per_seconds`. Workers and web processes read the rows anew every few seconds.

    `target` is a category's slug, an API key's prefix or a provider's name. For recipients an empty target counts every
    category together; for API keys it is the limit of every key that has no row of its own.
    """

    id = models.BigAutoField(primary_key=True)
    scope = models.CharField(max_length=9, choices=LimitScope.choices)
    target = models.CharField(max_length=64, blank=True, default="")
    max = models.PositiveIntegerField(validators=[MinValueValidator(1), MaxValueValidator(100_000_000)])
    per_seconds = models.PositiveIntegerField(
        default=60, validators=[MinValueValidator(1), MaxValueValidator(31 * 24 * 3600)]
    )
    is_on = models.BooleanField("on", default=True)
    note = models.CharField(max_length=200, blank=True, default="")
    updated_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering: ClassVar = ["scope", "target"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["scope", "target"], name="rate_limit_once")]

    def __str__(self) -> str:
        return f"{self.scope} {self.target or 'all'}: {self.max} per {self.per_seconds} s"
