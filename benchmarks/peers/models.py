"""The rows that a Django project without Carillon would write: one notification, one delivery, one event when it ends.

Recipients, categories and preferences are Carillon's own tables, filled by `benchmarks.dataset` as for Carillon itself.
Ids are big integers, which are cheaper than UUIDs. The tables are made at the start of a run (`make_tables`): they have
no migrations and are in no installation. `objects` is spelled out for the type checker, which knows those of installed
apps alone.
"""

from typing import ClassVar

from django.db import connection, models

from preferences.models import Category, Recipient


class Status(models.TextChoices):
    QUEUED = "queued"
    SENT = "sent"
    SKIPPED = "skipped"


class PeerNotification(models.Model):
    objects: ClassVar[models.Manager["PeerNotification"]] = models.Manager()

    recipient = models.ForeignKey(Recipient, on_delete=models.CASCADE, related_name="+")
    category = models.ForeignKey(Category, on_delete=models.CASCADE, related_name="+")
    template = models.CharField(max_length=64)
    data = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)


class PeerDelivery(models.Model):
    objects: ClassVar[models.Manager["PeerDelivery"]] = models.Manager()

    notification = models.ForeignKey(PeerNotification, on_delete=models.CASCADE, related_name="deliveries")
    channel = models.CharField(max_length=8)
    # No index: every update of an indexed column would write every index of the row.
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.QUEUED)
    provider_message_id = models.CharField(max_length=128, blank=True, default="")
    sent_at = models.DateTimeField(null=True)


class PeerEvent(models.Model):
    objects: ClassVar[models.Manager["PeerEvent"]] = models.Manager()

    delivery = models.ForeignKey(PeerDelivery, on_delete=models.CASCADE, related_name="events")
    type = models.CharField(max_length=8, choices=Status.choices)
    at = models.DateTimeField(auto_now_add=True)


#: In the order in which they can be made.
TABLES = (PeerNotification, PeerDelivery, PeerEvent)


def make_tables() -> None:
    with connection.schema_editor() as editor:
        for model in TABLES:
            editor.create_model(model)
