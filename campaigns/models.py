"""What managers send: a campaign, and the list of people it goes to where it is a list."""

from typing import ClassVar
from uuid import UUID

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q, TextChoices
from django.db.models.functions import Now

from analytics.engagement.rewriting import UTM
from campaigns.segments.models import (
    ListUpload,
    ListUploadPart,
    ListUploadReject,
    RecipientList,
    RecipientListMember,
    Segment,
    UploadState,
)
from core.ids import milliseconds
from notifications.choices import Channel, Priority
from notifications.models import MessageTemplate
from preferences.models import Category, Recipient

__all__ = [
    "Audience",
    "Campaign",
    "CampaignMember",
    "CampaignStatus",
    "ListUpload",
    "ListUploadPart",
    "ListUploadReject",
    "RecipientList",
    "RecipientListMember",
    "Segment",
    "UploadState",
]


class CampaignStatus(TextChoices):
    """draft -> sending <-> paused -> completed, or cancelled; moved by `services.lifecycle` and `services.fanout`."""

    DRAFT = "draft", "Draft"
    SENDING = "sending", "Sending"
    PAUSED = "paused", "Paused"
    COMPLETED = "completed", "Completed"
    CANCELLED = "cancelled", "Cancelled"


class Audience(TextChoices):
    EVERYONE = "everyone", "Everyone"
    LIST = "list", "A list of people"


class Campaign(models.Model):
    """One message to many people.

    A campaign's progress is on its row and moves in the transaction that records the notifications: `cursor` is the
    last recipient handed over, in the order of recipient ids; `upper` the last one there was at the start. `accepted`
    counts the recipients who have a notification (of these `unreachable` have one on no channel at all), `dropped`
    those who could not get one; the rest of a completed audience was erased in between. `queued` and `skipped` count
    deliveries, as they were at acceptance. `completed` means that everyone has been handed to the pipeline; delivery
    goes on from there.
    """

    id = models.AutoField(primary_key=True)
    name = models.CharField(max_length=100, help_text="For you and your colleagues; recipients don't see it")
    template = models.ForeignKey(MessageTemplate, on_delete=models.PROTECT)
    category = models.ForeignKey(
        Category,
        on_delete=models.PROTECT,
        help_text="What the message is about; people who opted out of it are skipped",
    )
    channels = ArrayField(models.CharField(max_length=8, choices=Channel.choices), default=list, blank=True)
    priority = models.CharField(max_length=8, choices=Priority.choices, blank=True, default="")
    audience = models.CharField(max_length=8, choices=Audience.choices, default=Audience.EVERYONE)
    data = models.JSONField(default=dict, blank=True)
    utm_source = models.CharField("source", max_length=100, blank=True, default="")
    utm_medium = models.CharField("medium", max_length=100, blank=True, default="")
    utm_campaign = models.CharField("campaign", max_length=100, blank=True, default="")
    utm_term = models.CharField("term", max_length=100, blank=True, default="")
    utm_content = models.CharField("content", max_length=100, blank=True, default="")
    status = models.CharField(
        max_length=9, choices=CampaignStatus.choices, default=CampaignStatus.DRAFT, editable=False
    )
    problem = models.CharField(
        max_length=300, blank=True, default="", editable=False, help_text="Why it stopped by itself"
    )

    audience_size = models.PositiveIntegerField(default=0, editable=False)
    upper = models.UUIDField(null=True, editable=False)
    cursor = models.UUIDField(null=True, editable=False)
    accepted = models.PositiveIntegerField(default=0, editable=False)
    unreachable = models.PositiveIntegerField(default=0, editable=False)
    dropped = models.PositiveIntegerField(default=0, editable=False)
    queued = models.PositiveIntegerField(default=0, editable=False)
    skipped = models.PositiveIntegerField(default=0, editable=False)
    withdrawn = models.PositiveSmallIntegerField(default=0, editable=False, help_text="How far a cancel has got")

    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, editable=False, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    started_at = models.DateTimeField(null=True, editable=False)
    finished_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="campaign_started", condition=Q(status=CampaignStatus.DRAFT) | Q(started_at__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def source(self) -> str:
        """What its notifications carry as their source."""
        return f"campaign:{self.pk}"

    @property
    def utm(self) -> dict[str, str]:
        """The parameters its links carry, without the empty ones: what its notifications have as `metadata["utm"]`."""
        given = {name: getattr(self, f"utm_{name}") for name in UTM}
        return {name: value for name, value in given.items() if value}

    @property
    def id_range(self) -> tuple[UUID, UUID]:
        """The notifications' ids: `low <= id < high`. All are made from the start's millisecond."""
        if self.started_at is None:
            raise ValueError("A draft has no notifications yet.")
        start = milliseconds(self.started_at)
        return UUID(int=start << 80), UUID(int=(start + 1) << 80)

    @property
    def lanes(self) -> tuple[list[str], str]:
        """The channels it may use and the priority it goes out with."""
        return list(self.channels or self.category.channels), self.priority or self.category.default_priority


class CampaignMember(models.Model):
    """One person of a pasted list. No database constraint on the recipient: an erasure doesn't wait for campaigns."""

    id = models.BigAutoField(primary_key=True)
    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, db_index=False, related_name="members")
    recipient = models.ForeignKey(Recipient, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["campaign", "recipient"], name="campaign_member_once"),
        ]

    def __str__(self) -> str:
        return str(self.recipient_id)
