from collections.abc import Callable
from typing import ClassVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import TextChoices
from django.db.models.functions import Now

from notifications.models.api_key import ApiKey
from preferences.models import Category

#: A person's notifications are remembered one by one for as long as the window is; nobody needs more of a limit.
MAX_FOR_A_PERSON = 10_000


#: Seconds of the spans that cap all marketing to one person, by their names.
CAP_SPANS = {"day": 24 * 3600, "week": 7 * 24 * 3600}


_SPANS = {1: "a second", 60: "a minute", 3600: "an hour", 86_400: "a day", 604_800: "a week"}


def in_words(max: int, per_seconds: int) -> str:
    """`5 a day`, `1,000 in 90 seconds`."""
    span = _SPANS.get(per_seconds)
    return f"{max:,} {span}" if span else f"{max:,} in {per_seconds:,} seconds"


class LimitScope(TextChoices):
    """What a limit counts, and what happens beyond it."""

    RECIPIENT = "recipient", "Notifications to one person: what is more is skipped"
    CAP = "cap", "Marketing to one person: what is more is skipped as capped"
    API_KEY = "api_key", "Calls with one API key: what is more is refused with 429"
    PROVIDER = "provider", "Messages to one provider: what is more waits"
    GLOBAL = "global", "Messages to all providers together: what is more waits"


class RateLimit(models.Model):
    """At most `max` in any window of `per_seconds`. Workers and web processes read the rows anew every few seconds.

    `target` is a category's slug, an API key's prefix or a provider's name. For recipients an empty target counts every
    category together; for a cap it is `day` or `week`; for API keys it is the limit of every key that
    has no row of its own.
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
        what = str(LimitScope(self.scope).label).partition(":")[0]
        return f"{what}{f' ({self.target})' if self.target else ''}: {in_words(self.max, self.per_seconds)}"

    def clean(self) -> None:
        """The target is something there is, and the number one that can be kept; raises ValidationError by field."""
        if fault := _TARGETS.get(self.scope, _anything)(self.target):
            raise ValidationError({"target": fault})
        self.per_seconds = CAP_SPANS[self.target] if self.scope == LimitScope.CAP else self.per_seconds
        if (
            self.scope in (LimitScope.RECIPIENT, LimitScope.CAP)
            and self.max is not None
            and self.max > MAX_FOR_A_PERSON
        ):
            raise ValidationError({"max": f"To one person at most {MAX_FOR_A_PERSON:,} in a window."})
        others = RateLimit.objects.filter(scope=self.scope, target=self.target).exclude(pk=self.pk)
        if others.exists():
            raise ValidationError({"target": "There is a limit for this already; change that one."})


def _category(target: str) -> str:
    if not target or Category.objects.filter(slug=target).exists():
        return ""
    return f"There is no category {target!r}. Give a category's slug, or nothing to count all of them together."


def _cap_span(target: str) -> str:
    return "" if target in CAP_SPANS else "Say day or week; there may be a cap for each."


def _prefix(target: str) -> str:
    if not target or ApiKey.objects.filter(prefix=target).exists():
        return ""
    return "There is no API key with this prefix. Give one, or nothing for every key that has no limit of its own."


def _provider(target: str) -> str:
    if target in settings.PROVIDERS:
        return ""
    return f"Name the provider, one of {', '.join(sorted(settings.PROVIDERS))}."


def _nothing(target: str) -> str:
    return "This limit is for all providers together; leave it empty." if target else ""


def _anything(target: str) -> str:
    return ""  # the scope itself is wrong, and said to be


#: Per scope, what is wrong with a target; empty when nothing is.
_TARGETS: dict[str, Callable[[str], str]] = {
    LimitScope.RECIPIENT: _category,
    LimitScope.CAP: _cap_span,
    LimitScope.API_KEY: _prefix,
    LimitScope.PROVIDER: _provider,
    LimitScope.GLOBAL: _nothing,
}
