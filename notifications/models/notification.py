from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from core.fields import StoredJSONField
from core.ids import uuid7
from notifications.choices import Priority
from preferences.models import Category, Recipient


class Notification(models.Model):
    """One message to one person, before it is split into deliveries. Partitioned by week on its UUIDv7 id.

    `content` is the inline content by channel, or null when a template version supplies it. `source` says who asked
    ("api:<key prefix>", "campaign:42", "notify") and is opaque here. Foreign keys carry no database constraint: the
    consistency check of `run_maintenance` stands in for it.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    recipient = models.ForeignKey(Recipient, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    category = models.ForeignKey(Category, on_delete=models.PROTECT, db_constraint=False, db_index=False)
    template_version = models.ForeignKey(
        "notifications.TemplateVersion", on_delete=models.PROTECT, null=True, db_constraint=False, db_index=False
    )
    content = StoredJSONField(null=True)
    data = StoredJSONField(default=dict)
    priority = models.CharField(max_length=8, choices=Priority.choices)
    source = models.CharField(max_length=64)
    is_test = models.BooleanField(default=False, help_text="Never reaches a real provider")
    send_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    cancelled_at = models.DateTimeField(null=True)
    dedup_key = models.CharField(max_length=128, blank=True, default="")
    metadata = StoredJSONField(default=dict)
    plan = StoredJSONField(null=True)  # see notifications.strategies; null: every channel at once
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [models.Index(fields=["recipient", "id"], name="notification_recipient")]

    def __str__(self) -> str:
        return str(self.id)
