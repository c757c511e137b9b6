"""What people say they want."""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from preferences.choices import Channel
from preferences.models.category import Category
from preferences.models.recipient import Recipient


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
