"""Links that were sent to people, each for one act."""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from core.ids import uuid7
from preferences.choices import LinkPurpose


class SentLink(models.Model):
    """A link that was sent to `address`: it confirms that address, or leads to the person's data, once and for a
    while. `before` is the person's address when it was sent: it is worth nothing after another change of that."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    recipient = models.ForeignKey("preferences.Recipient", on_delete=models.CASCADE, related_name="+")
    purpose = models.CharField(max_length=8, choices=LinkPurpose.choices)
    address = models.EmailField(max_length=254, blank=True)
    before = models.EmailField(max_length=254, blank=True)
    sent_at = models.DateTimeField(db_default=Now())
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["recipient", "sent_at"], name="sent_link_of_recipient")]

    def __str__(self) -> str:
        return str(LinkPurpose(self.purpose).label)
