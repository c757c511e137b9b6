"""What messages are about."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Now

from preferences.choices import Channel, Priority, Purpose, Strategy
from preferences.digesting.models import DigestConfig
from preferences.strategies import DEFAULT_WAIT, MAX_AFTER, MIN_WAIT

#: Seconds: a week. The first message of a longer window might have left the record by then.
MAX_DEDUP_SECONDS = 7 * 24 * 3600
#: Of a category to one person in a day or a week: they are remembered one by one.
MAX_CAP = 1000


def all_channels() -> list[str]:
    return list(Channel.values)


class Category(DigestConfig):
    """What a message is about; the unit in which people say what they want."""

    id = models.SmallAutoField(primary_key=True)
    slug = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=100)
    description = models.TextField(blank=True, default="")
    channels = ArrayField(
        models.CharField(max_length=8, choices=Channel.choices),
        default=all_channels,
        help_text="Where messages of this category go when the sender names no channels",
    )
    default_priority = models.CharField(max_length=8, choices=Priority.choices, default=Priority.NORMAL)
    is_required = models.BooleanField(default=False, help_text="Cannot be opted out of, for example security codes")
    purpose = models.CharField(
        max_length=16,
        choices=Purpose.choices,
        default=Purpose.TRANSACTIONAL,
        db_default=Purpose.TRANSACTIONAL,
        help_text="Marketing waits while limits cannot be checked; transactional messages go on",
    )
    dedup_seconds = models.PositiveIntegerField(
        "duplicates within",
        default=300,
        db_default=300,
        validators=[MaxValueValidator(MAX_DEDUP_SECONDS)],
        help_text="Seconds in which the same message to the same person is sent once; 0 sends it every time",
    )
    track_clicks = models.BooleanField(
        "count clicks",
        default=True,
        db_default=True,
        help_text="Links lead through this installation, so that clicks are counted",
    )
    track_opens = models.BooleanField(
        "count opens",
        default=False,
        db_default=False,
        help_text="Emails carry an invisible image, so that opens are counted; many mail readers open it by themselves",
    )
    waits_for_quiet_hours = models.BooleanField(
        "waits for quiet hours",
        default=True,
        db_default=True,
        help_text="In a recipient's quiet hours its messages wait, except critical ones and those in the app",
    )
    cap_per_day = models.PositiveSmallIntegerField(
        "at most a day",
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_CAP)],
        help_text="Notifications of this category to one person in 24 hours; empty: no cap",
    )
    cap_per_week = models.PositiveSmallIntegerField(
        "at most a week",
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_CAP)],
        help_text="In seven days. What is more is skipped, except critical messages and required categories",
    )
    strategy = models.CharField(
        max_length=8,
        choices=Strategy.choices,
        default=Strategy.ALL,
        db_default=Strategy.ALL,
        help_text="In which order the channels of a message are tried; a sender and a campaign may choose another",
    )
    fallback_seconds = models.PositiveIntegerField(
        "next channel after",
        default=DEFAULT_WAIT,
        db_default=DEFAULT_WAIT,
        validators=[MinValueValidator(MIN_WAIT), MaxValueValidator(MAX_AFTER)],
        help_text="Seconds that a channel has to deliver, when one is tried after the other",
    )
    escalation = models.JSONField(
        default=list,
        db_default=[],
        blank=True,
        help_text='Steps, as [{"channel": "in_app"}, {"channel": "push", "after": 600, "unless": "seen"}, {"channel":'
        ' "email", "after": 3600, "unless": "read"}], which is what an empty list means',
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering: ClassVar = ["slug"]
        verbose_name_plural = "categories"

    def __str__(self) -> str:
        return self.name
