"""A campaign, one chunk of people at a time, into the pipeline."""

from collections.abc import Sequence
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Greatest, Now

from campaigns.models import Action, Campaign, CampaignStatus
from campaigns.services.audience import AudienceService
from campaigns.services.lifecycle import CampaignService
from core.ids import deterministic_key
from notifications.drafts import MAX_DRAFTS, Accepted, Draft
from notifications.errors import DraftsRejected
from notifications.models import OutboxMessage
from notifications.services.notification import NotificationService

log = structlog.get_logger(__name__)


class FanOut:
    """Hands one campaign out. Any number may run, in any process, and be killed at any moment.

    A chunk's notifications and the cursor behind them commit together, under the campaign's row lock, and each
    notification's id is made from the campaign and the recipient: every recipient gets exactly one.
    """

    def __init__(self, campaign_id: int) -> None:
        self.campaign_id = campaign_id

    def step(self) -> int:
        """Hand out the next chunk; how many people that was. 0: done, stopped, held up, or another runner is at it."""
        with transaction.atomic():
            campaign = self._locked()
            if campaign is None or self._held_up(campaign):
                return 0
            people = AudienceService().chunk(campaign, min(settings.CAMPAIGN_CHUNK, MAX_DRAFTS))
            if not people:
                self._complete(campaign)
                return 0
            try:
                accepted = self._send(campaign, people)
            except DraftsRejected as rejected:
                CampaignService().stop_for(campaign.pk, self._why(rejected))
                return 0
            self._advance(campaign, people, accepted)
        log.debug("campaign_chunk", campaign_id=campaign.pk, people=len(people))
        return len(people)

    def _locked(self) -> Campaign | None:
        sending = Campaign.objects.filter(pk=self.campaign_id, status=CampaignStatus.SENDING)
        return sending.select_related("template", "category").select_for_update(skip_locked=True, of=("self",)).first()

    def _held_up(self, campaign: Campaign) -> bool:
        """Whether its lanes hold work enough. What waits for a later moment (a hold, a retry) doesn't count."""
        channels, priority = campaign.lanes
        due = OutboxMessage.objects.filter(channel__in=channels, priority=priority, due_at__lte=Now())
        limit: int = settings.CAMPAIGN_OUTBOX_LIMIT
        return due[:limit].count() >= limit

    def _send(self, campaign: Campaign, people: Sequence[tuple[UUID, str]]) -> list[Accepted]:
        """Send to everyone of the chunk who still exists. DraftsRejected: it is not about single people."""
        drafts = [self._draft(campaign, id, external_id) for id, external_id in people]
        while drafts:
            try:
                return NotificationService().send(drafts, source=campaign.source)
            except DraftsRejected as rejected:
                gone = {i for i, errors in rejected.errors.items() if all(e.pointer == "/recipient" for e in errors)}
                if not gone or len(gone) < len(rejected.errors):
                    raise
                drafts = [draft for i, draft in enumerate(drafts) if i not in gone]
        return []

    def _draft(self, campaign: Campaign, recipient_id: UUID, external_id: str) -> Draft:
        assert campaign.started_at is not None  # noqa: S101  the database's own constraint for a started campaign
        return Draft(
            id=deterministic_key(campaign.started_at, (campaign.pk, recipient_id)),
            recipient=external_id,
            category=campaign.category.slug,
            template=campaign.template.slug,
            template_version=campaign.template_version_id,
            data=campaign.data,
            channels=campaign.channels or None,
            priority=campaign.priority or None,
            metadata={"utm": campaign.utm} if campaign.utm else {},
        )

    def _advance(self, campaign: Campaign, people: Sequence[tuple[UUID, str]], accepted: Sequence[Accepted]) -> None:
        handled = campaign.accepted + campaign.dropped + len(people)
        Campaign.objects.filter(pk=campaign.pk).update(
            cursor=people[-1][0],
            accepted=F("accepted") + len(accepted),
            unreachable=F("unreachable") + sum(1 for a in accepted if not a.deliveries and not a.existed),
            dropped=F("dropped") + len(people) - len(accepted),
            queued=F("queued") + sum(a.deliveries for a in accepted),
            skipped=F("skipped") + sum(a.skipped for a in accepted),
            # Someone whose import was still under way when the audience was counted is in it all the same.
            audience_size=Greatest(F("audience_size"), handled),
        )

    def _complete(self, campaign: Campaign) -> None:
        people: dict[str, object] = {"accepted": campaign.accepted, "dropped": campaign.dropped}
        since = (CampaignStatus.SENDING,)
        CampaignService().move(
            campaign.pk, Action.COMPLETED, CampaignStatus.COMPLETED, since, detail=people, finished_at=Now()
        )

    def _why(self, rejected: DraftsRejected) -> str:
        error = next(e for errors in rejected.errors.values() for e in errors if e.pointer != "/recipient")
        return f"{error.pointer.strip('/')}: {error.message}"
