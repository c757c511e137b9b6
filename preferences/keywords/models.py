from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from preferences.keywords.words import Keyword


class HeardKeyword(models.Model):
    """One STOP or START that somebody answered: the proof of it, and what makes the order of arrival harmless.

    The number stands here as a hash, as in Suppression. `message_id` is the provider's name for the message, so one
    that is told twice is one; of all that a number said, the latest by `said_at` holds, and STOP where two fall
    together.
    """

    id = models.BigAutoField(primary_key=True)
    origin = models.CharField(max_length=32, help_text="The provider that told of it")
    message_id = models.CharField(max_length=128, blank=True, default="", help_text="The provider's name for it")
    address_hash = models.CharField(max_length=64, help_text="SHA-256 of the number, in hex")
    word = models.CharField(max_length=8, choices=Keyword.choices)
    said_at = models.DateTimeField(help_text="By the provider's clock, but never later than when it came")
    heard_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = "STOP or START"
        verbose_name_plural = "STOP and START"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["origin", "message_id"], condition=~Q(message_id=""), name="heard_keyword_once"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["address_hash", "-said_at"], name="heard_keyword_of_number"),
            models.Index(fields=["heard_at"], name="heard_keyword_at"),
        ]

    def __str__(self) -> str:
        return f"{self.get_word_display()} from {self.address_hash[:8]}"
