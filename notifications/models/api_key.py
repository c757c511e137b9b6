from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import TextChoices
from django.db.models.functions import Now


class Scope(TextChoices):
    """What a key may do."""

    NOTIFICATIONS_WRITE = "notifications:write", "Send and cancel notifications"
    NOTIFICATIONS_READ = "notifications:read", "Read notifications"
    RECIPIENTS_WRITE = "recipients:write", "Write recipients, preferences, device tokens, feed tokens"
    RECIPIENTS_READ = "recipients:read", "Read recipients"
    CATALOG_WRITE = "catalog:write", "Write categories"
    CATALOG_READ = "catalog:read", "Read categories and templates"
    WEBHOOKS_WRITE = "webhooks:write", "Write webhook endpoints, test and replay them"
    WEBHOOKS_READ = "webhooks:read", "Read webhook endpoints and their log"
    SEGMENTS_WRITE = "segments:write", "Write segments and lists of people"
    SEGMENTS_READ = "segments:read", "Read and count segments, read lists"
    STATS_READ = "stats:read", "Read figures: totals, latency, rankings"
    CAMPAIGNS_READ = "campaigns:read", "Read campaigns, their figures and their trail"
    CAMPAIGNS_WRITE = "campaigns:write", "Write and submit campaigns"
    CAMPAIGNS_SEND = "campaigns:send", "Launch, pause, resume and cancel campaigns"
    CAMPAIGNS_APPROVE = "campaigns:approve", "Approve campaigns and send them back"


class KeyMode(TextChoices):
    LIVE = "live", "Live"
    TEST = "test", "Test: only ever reaches the simulator"


class ApiKey(models.Model):
    """A service's credential: `ck_<mode>_<prefix>_<secret>`. The secret is shown once; only its SHA-256 is kept.

    With campaigns it acts as its owner, who may do there what the account may."""

    id = models.AutoField(primary_key=True)
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=16, unique=True, editable=False)
    secret_hash = models.CharField(max_length=64, editable=False)
    mode = models.CharField(max_length=4, choices=KeyMode.choices, default=KeyMode.LIVE)
    scopes = ArrayField(models.CharField(max_length=32, choices=Scope.choices), default=list)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, editable=False, related_name="+"
    )
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering: ClassVar = ["-id"]
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix})"
