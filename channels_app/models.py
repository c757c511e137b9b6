"""What a person finds in their inbox. The table is the truth; the socket only tells of it."""

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from preferences.models import Recipient


class FeedCursor(models.Model):
    """One row per recipient with a feed: the lock under which their items are numbered and changed.

    `last_seq` numbers items without a gap and, because the row stays locked until commit, in commit order: whoever
    sees item 7 can also see 1 to 6. `version` moves with every change of items or states, so two numbers tell whether
    anything was missed, and the younger of two counts can be told. Feed tokens name `token_generation`, and are good
    while it is this one.
    """

    recipient = models.OneToOneField(Recipient, on_delete=models.CASCADE, primary_key=True, related_name="+")
    last_seq = models.BigIntegerField()
    version = models.BigIntegerField()
    token_generation = models.IntegerField(default=0, db_default=0)

    def __str__(self) -> str:
        return f"{self.recipient_id} at {self.last_seq}"


class FeedItem(models.Model):
    """One in-app message. Its id is the delivery's, so a second send of a delivery finds it there already.

    Read implies seen. An item whose `snoozed_until` lies ahead is hidden until then; waking up (`woken_at`) gives it
    the next number, so that it comes as a new one does (see `channels_app.waking`). `data` is what the sender put under
    `metadata.in_app`; nothing else of the metadata reaches a browser.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    recipient = models.ForeignKey(
        Recipient, on_delete=models.CASCADE, db_constraint=False, db_index=False, related_name="+"
    )
    seq = models.BigIntegerField()
    category = models.CharField(max_length=64)
    title = models.TextField(blank=True, default="")
    body = models.TextField(blank=True, default="")
    link = models.TextField(blank=True, default="")
    icon = models.TextField(blank=True, default="")
    data = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_default=Now())
    seen_at = models.DateTimeField(null=True)
    read_at = models.DateTimeField(null=True)
    archived_at = models.DateTimeField(null=True)
    delivered_at = models.DateTimeField(null=True)
    snoozed_until = models.DateTimeField(null=True)
    woken_at = models.DateTimeField(null=True)

    class Meta:
        ordering: ClassVar = ["-seq"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["recipient", "seq"], name="feed_item_seq_once"),  # pages, newest first
        ]
        indexes: ClassVar = [
            # Counts: unseen is a part of unread, so one small index answers both without touching the table.
            models.Index(
                fields=["recipient", "-seq"],
                include=["seen_at", "snoozed_until"],
                condition=Q(read_at=None, archived_at=None),
                name="feed_item_unread",
            ),
            # What wakes up next, of anybody: few items sleep at a time.
            models.Index(
                fields=["snoozed_until"],
                condition=Q(snoozed_until__isnull=False, archived_at=None),
                name="feed_item_asleep",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.category} {self.id}"
