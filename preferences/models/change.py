"""What was changed about people."""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from preferences.choices import Changed, Channel, SuppressionReason, Way
from preferences.digesting import wording
from preferences.models.category import Category
from preferences.models.recipient import Recipient
from preferences.validation import DEFAULT_QUIET_HOURS, NO_QUIET_HOURS

#: What a change is about that concerns all marketing.
ALL_MARKETING = "marketing"


class ChangeRecord(models.Model):
    """One thing about a person that was changed: what, from what to what, when and by which way.

    Written by PreferencesService in the transaction of the change, and gone with the person. What was changed together
    has one `batch`, which is what an undo takes back. `before` and `after` are on, off or empty for a word on a
    category (empty: no word), a tag or zone for language and time zone, and empty for addresses, which do not stand
    here. `subject` is a device's id; of an address that may or may not be used, who said so; and for a word on all
    marketing ALL_MARKETING.
    """

    id = models.BigAutoField(primary_key=True)
    # Whoever writes a row holds the person, so none outlives them, and a check of each row by the database, which was
    # half of an import's work on the history, finds nothing. The index below begins with the person.
    recipient = models.ForeignKey(
        Recipient, on_delete=models.CASCADE, related_name="changes", db_constraint=False, db_index=False
    )
    batch = models.UUIDField()
    at = models.DateTimeField(db_default=Now())
    way = models.CharField(max_length=16, choices=Way.choices)
    what = models.CharField(max_length=16, choices=Changed.choices)
    category = models.ForeignKey(Category, on_delete=models.CASCADE, null=True, blank=True, db_index=False)
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
        return f"{self.get_what_display()}: {self.told()}"

    def told(self) -> str:
        """`from → to` in words; "changed" of addresses, which do not stand here. A word that was not said leaves the
        wider one to decide."""
        if not self.before and not self.after:
            return "changed"
        return f"{self._in_words(self.before)} → {self._in_words(self.after)}"

    def _in_words(self, value: str) -> str:
        if not value:
            return "no word" if self.what in (Changed.PREFERENCE, Changed.DIGEST) else "nothing"
        if self.what == Changed.DIGEST:
            return wording.said(value)
        if self.what == Changed.SUPPRESSION:
            return str(dict(SuppressionReason.choices).get(value, value))
        if self.what == Changed.QUIET_HOURS:
            return {NO_QUIET_HOURS: "no quiet hours", DEFAULT_QUIET_HOURS: "as everybody's"}.get(value, value)
        return value
