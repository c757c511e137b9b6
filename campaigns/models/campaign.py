from typing import ClassVar
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from analytics.engagement.rewriting import UTM
from campaigns.choices import (
    BEFORE_START,
    PHASES,
    Audience,
    CampaignStatus,
    Phase,
    Recurrence,
    Schedule,
    WinnerMetric,
)
from campaigns.segments.models import RecipientList, Segment
from core.ids import milliseconds
from notifications.choices import Channel, Priority
from notifications.models import MessageTemplate, TemplateVersion
from preferences.models import Category

#: What it says, to whom, when and how fast, by column: fixed outside `draft`, and hashed when it is approved.
CONTENT = (
    "template_id", "category_id", "channels", "strategy", "priority", "audience", "segment_id", "saved_list_id", "data",
    *(f"utm_{name}" for name in UTM),
    "schedule", "send_at", "local_date", "local_time", "recurrence", "recurs_on", "recurrence_zone", "recurs_until",
    "throttle_per_minute", "canary_percent", "canary_minutes", "canary_max_failures", "test_percent", "winner_metric",
    "decide_after_minutes",
)  # fmt: skip


def _user() -> models.ForeignKey[User | None, User | None]:
    """Who did something; deleting the account leaves the campaign."""
    return models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, editable=False, related_name="+"
    )


class Campaign(models.Model):
    """One message to many people.

    A campaign's progress is on its row and moves in the transaction that records the notifications: `cursor` is the
    last recipient handed over, in the order of recipient ids; `upper` the last one there was at the start. `accepted`
    counts the recipients who have a notification (of these `unreachable` have one on no channel at all), `dropped`
    those who could not get one; the rest of a completed audience was erased in between. `queued` and `skipped` count
    deliveries, as they were at acceptance. `completed` means that everyone has been handed to the pipeline; delivery
    goes on from there.

    What it says, to whom and when is fixed outside `draft`: a trigger refuses to change it, and to move the status
    where `choices.LEGAL` does not lead. `starts_at` is when a scheduled one is due: of a recurring one, which never
    sends itself, the next of its occurrences, each a campaign of its own with this one as `parent`.
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
    strategy = models.JSONField(
        null=True, blank=True, help_text="As preferences.strategies.asked reads it; null: the category's"
    )
    priority = models.CharField(max_length=8, choices=Priority.choices, blank=True, default="")
    audience = models.CharField(max_length=10, choices=Audience.choices, default=Audience.EVERYONE)
    segment = models.ForeignKey(Segment, on_delete=models.PROTECT, null=True, blank=True, related_name="campaigns")
    saved_list = models.ForeignKey(
        RecipientList, on_delete=models.PROTECT, null=True, blank=True, related_name="campaigns"
    )
    exclude_segments = models.ManyToManyField(Segment, blank=True, related_name="excluded_from")
    exclude_lists = models.ManyToManyField(RecipientList, blank=True, related_name="excluded_from")
    data = models.JSONField(default=dict, blank=True)
    utm_source = models.CharField("source", max_length=100, blank=True, default="")
    utm_medium = models.CharField("medium", max_length=100, blank=True, default="")
    utm_campaign = models.CharField("campaign", max_length=100, blank=True, default="")
    utm_term = models.CharField("term", max_length=100, blank=True, default="")
    utm_content = models.CharField("content", max_length=100, blank=True, default="")

    schedule = models.CharField(max_length=9, choices=Schedule.choices, default=Schedule.NOW)
    send_at = models.DateTimeField(null=True, blank=True)
    local_date = models.DateField(null=True, blank=True)
    local_time = models.TimeField(null=True, blank=True)
    recurrence = models.CharField(max_length=7, choices=Recurrence.choices, blank=True, default="")
    recurs_on = ArrayField(
        models.SmallIntegerField(validators=[MinValueValidator(1), MaxValueValidator(31)]),
        default=list,
        blank=True,
        help_text="Days of the week, Monday is 1; or of the month, of which one that a month lacks is its last",
    )
    recurrence_zone = models.CharField(max_length=64, default="UTC")
    recurs_until = models.DateField(null=True, blank=True)
    throttle_per_minute = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)], help_text="People a minute; empty: as fast as it goes"
    )

    canary_percent = models.PositiveSmallIntegerField(default=0, validators=[MaxValueValidator(50)])
    canary_minutes = models.PositiveSmallIntegerField(
        default=30, validators=[MinValueValidator(1), MaxValueValidator(7 * 24 * 60)]
    )
    canary_max_failures = models.PositiveSmallIntegerField(default=5, validators=[MaxValueValidator(100)])
    test_percent = models.PositiveSmallIntegerField(
        default=100, validators=[MinValueValidator(1), MaxValueValidator(100)]
    )
    winner_metric = models.CharField(max_length=7, choices=WinnerMetric.choices, default=WinnerMetric.NONE)
    decide_after_minutes = models.PositiveSmallIntegerField(
        default=240, validators=[MinValueValidator(1), MaxValueValidator(7 * 24 * 60)]
    )
    winner = models.ForeignKey(
        "campaigns.CampaignVariant", on_delete=models.SET_NULL, null=True, editable=False, related_name="+"
    )
    decided_at = models.DateTimeField(null=True, editable=False)

    status = models.CharField(
        max_length=9, choices=CampaignStatus.choices, default=CampaignStatus.DRAFT, editable=False
    )
    problem = models.CharField(
        max_length=300, blank=True, default="", editable=False, help_text="Why it stopped by itself"
    )

    submitted_by = _user()
    submitted_at = models.DateTimeField(null=True, editable=False)
    approved_by = _user()
    approved_at = models.DateTimeField(null=True, editable=False)
    approved_hash = models.CharField(max_length=64, blank=True, default="", editable=False)
    template_version = models.ForeignKey(
        TemplateVersion, on_delete=models.PROTECT, null=True, editable=False, related_name="+"
    )
    review_note = models.TextField(blank=True, default="", editable=False)

    parent = models.ForeignKey("self", on_delete=models.PROTECT, null=True, editable=False, related_name="occurrences")
    starts_at = models.DateTimeField(null=True, editable=False)
    phase = models.CharField(max_length=6, choices=Phase.choices, default=Phase.REST, editable=False)
    wave = models.PositiveSmallIntegerField(default=0, editable=False)
    waves = ArrayField(models.DateTimeField(), default=list, editable=False)
    held_until = models.DateTimeField(null=True, editable=False)
    prepared_at = models.DateTimeField(null=True, editable=False)
    prepared_to = models.UUIDField(null=True, editable=False)
    paced_from = models.DateTimeField(null=True, editable=False)
    paced = models.PositiveIntegerField(default=0, editable=False, help_text="People handed out since then")

    audience_size = models.PositiveIntegerField(default=0, editable=False)
    upper = models.UUIDField(null=True, editable=False)
    cursor = models.UUIDField(null=True, editable=False)
    accepted = models.PositiveIntegerField(default=0, editable=False)
    unreachable = models.PositiveIntegerField(default=0, editable=False)
    dropped = models.PositiveIntegerField(default=0, editable=False)
    queued = models.PositiveIntegerField(default=0, editable=False)
    skipped = models.PositiveIntegerField(default=0, editable=False)
    withdrawn = models.PositiveSmallIntegerField(default=0, editable=False, help_text="How far a cancel has got")

    created_by = _user()
    edited_by = _user()
    edited_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    started_at = models.DateTimeField(null=True, editable=False)
    finished_at = models.DateTimeField(null=True, editable=False)
    archived_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="campaign_started",
                condition=Q(started_at__isnull=False)
                | Q(status__in=[*BEFORE_START, CampaignStatus.CANCELLED])
                | Q(status=CampaignStatus.COMPLETED, schedule=Schedule.RECURRING),
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["status", "starts_at"], name="campaign_status")]
        permissions: ClassVar = [
            ("submit_campaign", "Can submit campaigns for review"),
            ("approve_campaign", "Can approve campaigns"),
            ("operate_campaign", "Can start, pause, resume and cancel campaigns"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def source(self) -> str:
        """What its notifications carry as their source."""
        return f"campaign:{self.pk}"

    @property
    def step(self) -> int:
        """Where it is among its targets: the canary, the test, then the waves of the rest."""
        return PHASES.index(Phase(self.phase)) + self.wave

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
    def named_channels(self) -> list[str]:
        """Those it asks for: its own steps name them, or it lists them. None: the category's."""
        steps = self.strategy.get("escalate", ()) if isinstance(self.strategy, dict) else ()
        return [step["channel"] for step in steps] or list(self.channels)

    @property
    def lanes(self) -> tuple[list[str], str]:
        """The channels it may use and the priority it goes out with."""
        return self.named_channels or list(self.category.channels), self.priority or self.category.default_priority
