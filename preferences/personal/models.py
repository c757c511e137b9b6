"""What was sent to people to prove or reach something, each for one act."""

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from core.ids import uuid7
from preferences.choices import LinkPurpose


class SentLink(models.Model):
    """A link, or for a phone a code, that was sent to `address`: it confirms that address, or leads to the person's
    data, once and for a while. `before` is the address they had when it was sent: it is worth nothing after another
    change of that.

    Of a code `code_hash` is kept (see `personal.codes`), and how often it was tried. A code without a hash was not
    sent, and nothing that anybody types is it.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    recipient = models.ForeignKey("preferences.Recipient", on_delete=models.CASCADE, related_name="+")
    purpose = models.CharField(max_length=8, choices=LinkPurpose.choices)
    address = models.CharField(max_length=254, blank=True)
    before = models.CharField(max_length=254, blank=True)
    code_hash = models.CharField(max_length=64, blank=True, default="", db_default="")
    tries = models.PositiveSmallIntegerField(default=0, db_default=0)
    sent_at = models.DateTimeField(db_default=Now())
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["recipient", "sent_at"], name="sent_link_of_recipient"),
            models.Index(fields=["sent_at"], condition=Q(purpose="phone"), name="sent_code_at"),
        ]

    def __str__(self) -> str:
        return str(LinkPurpose(self.purpose).label)
