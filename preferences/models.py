"""Who a recipient is and how they may be reached."""

import hashlib
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now, Upper

from core.ids import uuid7
from preferences.choices import Changed, Channel, Platform, Priority, Purpose, Strategy, SuppressionReason, Way
from preferences.digesting.models import DigestChoice, DigestConfig
from preferences.keywords.models import HeardKeyword
from preferences.personal.models import SentLink
from preferences.strategies import DEFAULT_WAIT, MAX_AFTER, MIN_WAIT

__all__ = [
    "Category",
    "ChangeRecord",
    "DeviceToken",
    "DigestChoice",
    "HeardKeyword",
    "MarketingStop",
    "Preference",
    "Recipient",
    "SentLink",
    "Suppression",
]

#: Seconds: a week. The first message of a longer window might have left the record by then.
MAX_DEDUP_SECONDS = 7 * 24 * 3600
#: Of a category to one person in a day or a week: they are remembered one by one.
MAX_CAP = 1000


def all_channels() -> list[str]:
    return list(Channel.values)


#: What a change is about that concerns all marketing.
ALL_MARKETING = "marketing"


class Recipient(models.Model):
    """A person, as the host system knows them. `external_id` is the host's id and the only name the API uses.

    `preferences_changed_at` is what makes the opt-out check at send time cheap: it moves with every write that could
    change a route, so a worker re-routes only the recipients for whom it is younger than the acceptance, less the age
    that the cached preferences may have had (`preferences.services.LOOK_BACK_SECONDS`).
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    external_id = models.CharField(max_length=128, db_collation="C")  # so that one index serves equality and prefixes
    name = models.CharField(max_length=200, blank=True, default="")
    email = models.EmailField(max_length=254, blank=True, default="")
    phone = models.CharField(max_length=16, blank=True, default="", help_text="E.164, for example +4915112345678")
    email_verified_at = models.DateTimeField("email confirmed", null=True, blank=True, editable=False)
    phone_verified_at = models.DateTimeField("phone confirmed", null=True, blank=True, editable=False)
    locale = models.CharField(max_length=35, blank=True, default="", help_text="BCP 47, for example pt-BR")
    timezone = models.CharField(max_length=64, default="UTC", help_text="IANA, for example Europe/Berlin")
    quiet_start = models.TimeField("quiet from", null=True, blank=True, help_text="In their time zone; both or neither")
    quiet_end = models.TimeField("quiet until", null=True, blank=True, help_text="Before the start: of the next day")
    quiet_never = models.BooleanField(
        "no quiet hours",
        default=False,
        db_default=False,
        help_text="Messages come at any time, whatever the installation's quiet hours are",
    )
    attributes = models.JSONField(default=dict, blank=True)
    preferences_changed_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints: ClassVar = [
            # Not `unique=True`, which would add a second index for LIKE.
            models.UniqueConstraint(fields=["external_id"], name="recipient_external_id"),
            models.CheckConstraint(
                condition=Q(quiet_start=None, quiet_end=None)
                | Q(quiet_start__isnull=False, quiet_end__isnull=False) & ~Q(quiet_start=F("quiet_end")),
                name="recipient_quiet_hours",
                violation_error_message="Quiet hours have a start and an end, and the two differ.",
            ),
            models.CheckConstraint(
                condition=Q(quiet_never=False) | Q(quiet_start=None),
                name="recipient_quiet_never",
                violation_error_message="Who never wants quiet hours has none.",
            ),
        ]
        indexes: ClassVar = [
            # UPPER(email) is what `email__iexact` compares, here and in the admin's search.
            models.Index(Upper("email"), name="recipient_email"),
            models.Index(fields=["phone"], name="recipient_phone"),
        ]

    def __str__(self) -> str:
        return self.external_id


class DeviceToken(models.Model):
    """One device's push address. A token belongs to the recipient who registered it last."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    recipient = models.ForeignKey(Recipient, on_delete=models.CASCADE, related_name="device_tokens")
    platform = models.CharField(max_length=8, choices=Platform.choices)
    token = models.TextField(help_text="APNs or FCM token; for Web Push the subscription as JSON")
    token_hash = models.CharField(max_length=64, editable=False, help_text="SHA-256 of the token, in hex")
    label = models.CharField(max_length=100, blank=True, default="")
    registered_at = models.DateTimeField(db_default=Now())
    retired_at = models.DateTimeField(null=True, blank=True)
    retired_reason = models.CharField(max_length=64, blank=True, default="")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["platform", "token_hash"], name="device_token_once"),
        ]

    def __str__(self) -> str:
        return f"{self.platform} {self.label or self.token_hash[:8]}"

    @staticmethod
    def hash_of(token: str) -> str:
        return hashlib.sha256(token.encode()).hexdigest()


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


class Preference(models.Model):
    """A recipient's word on one channel, for one category or (category null) for all of them.

    No row means yes. The narrower row wins: a category's own row over the channel-wide one.
    """

    id = models.BigAutoField(primary_key=True)
    recipient = models.ForeignKey(Recipient, on_delete=models.CASCADE, related_name="preferences")
    category = models.ForeignKey(Category, on_delete=models.CASCADE, null=True, blank=True)
    channel = models.CharField(max_length=8, choices=Channel.choices)
    enabled = models.BooleanField()
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["recipient", "category", "channel"], name="preference_once", nulls_distinct=False
            ),
        ]

    def __str__(self) -> str:
        return f"{self.channel}: {'on' if self.enabled else 'off'}"


class MarketingStop(models.Model):
    """A recipient's no to all marketing on one channel: also to categories that are made later.

    It stands between the two words of Preference: a category's own word is narrower, the one on the whole channel is
    wider. Taken back, the row is gone.
    """

    id = models.BigAutoField(primary_key=True)
    recipient = models.ForeignKey(Recipient, on_delete=models.CASCADE, related_name="marketing_stops")
    channel = models.CharField(max_length=8, choices=Channel.choices)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = "no to all marketing"
        verbose_name_plural = "noes to all marketing"
        constraints: ClassVar = [models.UniqueConstraint(fields=["recipient", "channel"], name="marketing_stop_once")]

    def __str__(self) -> str:
        return f"{self.channel}: no marketing"


class ChangeRecord(models.Model):
    """One thing about a person that was changed: what, from what to what, when and by which way.

    Written by PreferencesService in the transaction of the change, and gone with the person. What was changed together
    has one `batch`, which is what an undo takes back. `before` and `after` are on, off or empty for a word on a
    category (empty: no word), a tag or zone for language and time zone, and empty for addresses, which do not stand
    here. `subject` is a device's id; of an address that may or may not be used, who said so; and for a word on all
    marketing ALL_MARKETING.
    """

    id = models.BigAutoField(primary_key=True)
    recipient = models.ForeignKey(Recipient, on_delete=models.CASCADE, related_name="changes")
    batch = models.UUIDField()
    at = models.DateTimeField(db_default=Now())
    way = models.CharField(max_length=16, choices=Way.choices)
    what = models.CharField(max_length=16, choices=Changed.choices)
    category = models.ForeignKey(Category, on_delete=models.CASCADE, null=True, blank=True)
    channel = models.CharField(max_length=8, choices=Channel.choices, blank=True, db_default="", default="")
    subject = models.CharField(max_length=64, blank=True, db_default="", default="")
    before = models.CharField(max_length=64, blank=True, db_default="", default="")
    after = models.CharField(max_length=64, blank=True, db_default="", default="")

    class Meta:
        verbose_name = "change of preferences"
        verbose_name_plural = "changes of preferences"
        indexes: ClassVar = [
            models.Index(fields=["recipient", "-id"], name="change_of_recipient"),
            models.Index(fields=["at"], name="change_at"),
        ]

    def __str__(self) -> str:
        what = str(Changed(self.what).label)
        return f"{what}: {self.before or 'nothing'} → {self.after or 'nothing'}" if self.before or self.after else what


class Suppression(models.Model):
    """A reason why an address must not be used. Kept by hash, so it outlives the recipient's erasure and their
    re-import.

    Each reason has a row of its own, and one is enough: a bounce after a STOP takes nothing from the STOP, and whoever
    lifts the one has not lifted the other.
    """

    id = models.BigAutoField(primary_key=True)
    channel = models.CharField(max_length=8, choices=Channel.choices)
    address_hash = models.CharField(max_length=64, help_text="SHA-256 of the normalised address, in hex")
    reason = models.CharField(max_length=16, choices=SuppressionReason.choices)
    source = models.CharField(max_length=64, blank=True, default="")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["channel", "address_hash", "reason"], name="suppression_reason_once"),
        ]

    def __str__(self) -> str:
        return f"{self.channel} {self.address_hash[:8]} ({self.reason})"

    @staticmethod
    def hash_of(address: str) -> str:
        """The key of an address: trimmed and case-folded, then SHA-256."""
        return hashlib.sha256(address.strip().casefold().encode()).hexdigest()
