from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from notifications.choices import Channel, Priority

#: Deliveries in one outbox row, one broker message, one claim. Small enough that a lost lease costs little.
MAX_DELIVERIES = 500


class OutboxMessage(models.Model):
    """The schedule of work: deliveries of one lane (channel, priority) that are due at a moment.

    New work, a scheduled send, a hold, a throttle and a retry differ only in `due_at`. The relay moves due rows to the
    broker and deletes them once confirmed; the database transport hands them to workers directly, and then `takes`
    counts how often a row was handed out without being acknowledged. A row with `takes` is never put together with
    others: it may be what crashes its worker. `held_for` is the source that work was put back for, because it is held.
    """

    id = models.BigAutoField(primary_key=True)
    channel = models.CharField(max_length=8, choices=Channel.choices)
    priority = models.CharField(max_length=8, choices=Priority.choices)
    due_at = models.DateTimeField(db_default=Now())
    delivery_ids = ArrayField(models.UUIDField())
    # Kept beside the array, which for a full row is stored out of line: how many rows fit a batch is asked often.
    size = models.GeneratedField(
        expression=models.Func(models.F("delivery_ids"), function="cardinality"),
        output_field=models.IntegerField(),
        db_persist=True,
    )
    takes = models.SmallIntegerField(default=0)
    held_for = models.CharField(max_length=64, null=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "notifications_outbox"
        verbose_name = "outbox message"
        indexes: ClassVar = [
            models.Index(fields=["channel", "priority", "due_at"], name="outbox_lane_due"),
            models.Index(fields=["held_for"], name="outbox_held", condition=Q(held_for__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.channel}.{self.priority} x {len(self.delivery_ids)}"
