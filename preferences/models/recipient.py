"""Who a recipient is, and their devices."""

import hashlib
from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now, Upper

from core.ids import uuid7
from preferences.choices import Platform


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
