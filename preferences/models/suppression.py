"""Addresses that must not be used."""

import hashlib
from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from preferences.choices import Channel, SuppressionReason


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
        return f"{self.get_channel_display()} {self.address_hash[:8]}, {self.get_reason_display()}"

    @staticmethod
    def hash_of(address: str) -> str:
        """The key of an address: trimmed and case-folded, then SHA-256."""
        return hashlib.sha256(address.strip().casefold().encode()).hexdigest()
