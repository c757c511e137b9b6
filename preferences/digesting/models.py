"""What digests need to know: the columns of a category, and what people say."""

from datetime import time
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Now

from preferences.choices import Channel, DigestMode, DigestRhythm

#: Seconds: a week, as a weekly digest. What is gathered for longer is no news any more.
MAX_WINDOW_SECONDS = 7 * 24 * 3600
#: When a day's digest goes where nobody named a time.
MORNING = time(9, 0)
_SECONDS = (MinValueValidator(1), MaxValueValidator(MAX_WINDOW_SECONDS))


def gathered_channels() -> list[str]:
    """The feed shows each message at once: nobody is disturbed by it."""
    return [Channel.PUSH.value, Channel.EMAIL.value, Channel.SMS.value]


class DigestConfig(models.Model):
    """The part of a category that says whether and how its messages are gathered."""

    digest_mode = models.CharField(
        "gathered",
        max_length=10,
        choices=DigestMode.choices,
        default=DigestMode.NONE,
        db_default=DigestMode.NONE,
        help_text="People may choose otherwise for themselves. Critical messages never wait",
    )
    digest_window_seconds = models.PositiveIntegerField(
        "window",
        default=3600,
        db_default=3600,
        validators=_SECONDS,
        help_text="Seconds. Of a fixed window its length; of a sliding one how long it waits after each message",
    )
    digest_cap_seconds = models.PositiveIntegerField(
        "cap",
        default=4 * 3600,
        db_default=4 * 3600,
        validators=_SECONDS,
        help_text="Seconds after the first message at which a sliding window ends, whatever still comes",
    )
    digest_at = models.TimeField(
        "time of day",
        default=MORNING,
        db_default=MORNING,
        help_text="In the person's own time zone; also when somebody chooses daily or weekly and names no time",
    )
    digest_weekdays = ArrayField(
        models.PositiveSmallIntegerField(),
        verbose_name="weekdays",
        default=list,
        db_default=[],
        blank=True,
        help_text="Monday is 0. None: every day",
    )
    digest_first_at_once = models.BooleanField(
        "first at once",
        default=False,
        db_default=False,
        help_text="The first message goes out by itself; what follows until the window ends is gathered",
    )
    digest_template = models.CharField(
        "template",
        max_length=64,
        blank=True,
        default="",
        db_default="",
        help_text="Slug of the template that says what was gathered; without one there is a plain built-in wording",
    )
    digest_channels = ArrayField(
        models.CharField(max_length=8, choices=Channel.choices),
        verbose_name="gathered on",
        default=gathered_channels,
        db_default=gathered_channels(),
        help_text="On other channels each message goes out at once",
    )

    class Meta:
        abstract = True


class DigestChoice(models.Model):
    """A person's word on digests, for one category or (category null) for all of them. The narrower one wins.

    `at` and `weekday` (Monday is 0) go with daily and weekly; null leaves them to the category.
    """

    id = models.BigAutoField(primary_key=True)
    recipient = models.ForeignKey("preferences.Recipient", on_delete=models.CASCADE, related_name="digest_choices")
    category = models.ForeignKey("preferences.Category", on_delete=models.CASCADE, null=True, blank=True)
    rhythm = models.CharField(max_length=11, choices=DigestRhythm.choices)
    at = models.TimeField(null=True, blank=True)
    weekday = models.PositiveSmallIntegerField(null=True, blank=True, validators=[MaxValueValidator(6)])
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["recipient", "category"], name="digest_choice_once", nulls_distinct=False),
        ]

    def __str__(self) -> str:
        return str(DigestRhythm(self.rhythm).label)
