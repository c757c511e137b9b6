"""A campaign, one chunk of people at a time, into the pipeline."""

from collections.abc import Sequence
from datetime import datetime

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Greatest, Now

from campaigns.errors import DefinitionInvalid
from campaigns.models import Action, Campaign, CampaignStatus, CampaignVariant
from campaigns.pacing import Pace
from campaigns.services.audience import AudienceService, Person
from campaigns.services.lifecycle import CampaignService
from campaigns.services.phases import Phases
from campaigns.services.preparation import Preparation, is_needed
from core.ids import deterministic_key
from core.moments import database_now
from notifications.drafts import MAX_DRAFTS, Accepted, Draft
from notifications.errors import DraftsRejected
from notifications.models import OutboxMessage
from notifications.services.notification import NotificationService

log = structlog.get_logger(__name__)

#: What a person is sent: the campaign's own wording, or a variant's.
Wording = Campaign | CampaignVariant


class FanOut:
    """Hands one campaign out. Any number may run, in any process, and be killed at any moment.

    A chunk's notifications and the cursor behind them commit together, under the campaign's row lock, and each
    notification's id is made from the campaign and the recipient: every recipient gets exactly one.
    """

    def __init__(self, campaign_id: int) -> None:
        self.campaign_id = campaign_id

    def step(self) -> int:
        """Hand out the next chunk; how many people that was, or 1 for a step on the way. 0: done, stopped, held up,
        nobody's turn yet, or another runner is at it."""
        with transaction.atomic():
            campaign = self._locked()
            if campaign is None:
                return 0
            if campaign.prepared_at is None and is_needed(campaign):
                return self._prepare(campaign)
            phases = Phases(campaign)
            if phases.waits() or self._held_up(campaign) or not (limit := self._limit(campaign)):
                return 0
            people = AudienceService().chunk(campaign, limit)
            if not people:
                return self._phase_over(campaign, phases)
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
        sending = sending.select_related("template", "category", "winner__template", "segment")
        return sending.select_for_update(skip_locked=True, of=("self",)).first()

    def _prepare(self, campaign: Campaign) -> int:
        try:
            return Preparation(campaign).step()
        except DefinitionInvalid as error:  # a list or a category that its segment names was deleted
            CampaignService().stop_for(campaign.pk, f"Its segment has to be put right first: {error}")
            return 0

    def _limit(self, campaign: Campaign) -> int:
        """People of the next chunk, at most; with a throttle, those it allows by now."""
        limit: int = min(settings.CAMPAIGN_CHUNK, MAX_DRAFTS)
        if campaign.throttle_per_minute is None:
            return limit
        now = database_now()
        pace = Pace(campaign.throttle_per_minute, campaign.paced_from or now, campaign.paced).at(now)
        campaign.paced_from, campaign.paced = pace.since, pace.paced
        allowed = pace.allowance(now)
        if not allowed:  # what it counts from has to stand, or it would never come to anything
            Campaign.objects.filter(pk=campaign.pk).update(paced_from=pace.since, paced=pace.paced)
        return min(limit, allowed)

    def _phase_over(self, campaign: Campaign, phases: Phases) -> int:
        if phases.over():
            return 1
        self._complete(campaign)
        return 0

    def _held_up(self, campaign: Campaign) -> bool:
        """Whether its lanes hold work enough. What waits for a later moment (a hold, a retry) doesn't count."""
        channels, priority = campaign.lanes
        due = OutboxMessage.objects.filter(channel__in=channels, priority=priority, due_at__lte=Now())
        limit: int = settings.CAMPAIGN_OUTBOX_LIMIT
        return due[:limit].count() >= limit

    def _send(self, campaign: Campaign, people: Sequence[Person]) -> list[Accepted]:
        """Send to everyone of the chunk who still exists. DraftsRejected: it is not about single people."""
        has_variants = any(person.variant is not None for person in people)
        variants = list(campaign.variants.select_related("template").order_by("label")) if has_variants else []
        send_at = self._send_at(campaign)
        drafts = [
            self._draft(campaign, person, self._wording(campaign, variants, person), send_at) for person in people
        ]
        while drafts:
            try:
                return NotificationService().send(drafts, source=campaign.source)
            except DraftsRejected as rejected:
                gone = {i for i, errors in rejected.errors.items() if all(e.pointer == "/recipient" for e in errors)}
                if not gone or len(gone) < len(rejected.errors):
                    raise
                drafts = [draft for i, draft in enumerate(drafts) if i not in gone]
        return []

    def _send_at(self, campaign: Campaign) -> datetime | None:
        """The hour of this wave, where it is still to come: for everyone in it at once."""
        if not campaign.waves:
            return None
        moment: datetime = campaign.waves[campaign.wave]
        return moment if moment > database_now() else None

    def _wording(self, campaign: Campaign, variants: Sequence[CampaignVariant], person: Person) -> Wording:
        """Once there is a winner everybody gets it: one who is chosen while the test goes out ends the test."""
        if campaign.winner is not None:
            return campaign.winner
        return campaign if person.variant is None else variants[person.variant]

    def _draft(self, campaign: Campaign, person: Person, wording: Wording, send_at: datetime | None) -> Draft:
        assert campaign.started_at is not None  # noqa: S101  the database's own constraint for a started campaign
        return Draft(
            id=deterministic_key(campaign.started_at, (campaign.pk, person.id)),
            recipient=person.external_id,
            category=campaign.category.slug,
            template=wording.template.slug,
            template_version=wording.template_version_id,
            data=campaign.data,
            channels=campaign.channels or None,
            strategy=campaign.strategy,
            priority=campaign.priority or None,
            send_at=send_at,
            metadata={"utm": campaign.utm} if campaign.utm else {},
        )

    def _advance(self, campaign: Campaign, people: Sequence[Person], accepted: Sequence[Accepted]) -> None:
        handled = campaign.accepted + campaign.dropped + len(people)
        Campaign.objects.filter(pk=campaign.pk).update(
            cursor=people[-1].id,
            paced_from=campaign.paced_from,
            paced=campaign.paced + len(people),
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
