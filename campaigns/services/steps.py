"""What every step of a campaign's life has in common: one guarded UPDATE, the trail, and who may take it."""

import structlog
from django.contrib.auth.models import User
from django.db import transaction

from campaigns.errors import DefinitionInvalid, NotAllowed, NotReady, WrongState
from campaigns.models import Action, Campaign, CampaignStatus
from campaigns.services.audience import AudienceService
from campaigns.services.readiness import problems, unsettled
from campaigns.services.trail import tell

log = structlog.get_logger(__name__)

#: Permissions, and how their lack is told.
_MAY = {
    "submit": "Only campaign authors may do that.",
    "approve": "Only campaign approvers may do that.",
    "operate": "Only campaign operators may do that.",
    "change": "Only campaign authors may do that.",
}


class Steps:
    """`by` is who takes a step: an account, whose permissions are asked, or None for the system itself."""

    audience = AudienceService()

    def allow(self, by: User | None, permission: str) -> None:
        """Raise NotAllowed unless they may."""
        if not may(by, permission):
            raise NotAllowed(_MAY[permission])

    def move(
        self,
        campaign_id: int,
        action: Action,
        to: CampaignStatus,
        since: tuple[CampaignStatus, ...],
        *,
        by: User | None = None,
        detail: dict[str, object] | None = None,
        **values: object,
    ) -> Campaign:
        """Take the step and tell of it, or raise WrongState. Of two who press at once, one is told so."""
        with transaction.atomic():
            if not Campaign.objects.filter(pk=campaign_id, status__in=since).update(status=to, **values):
                campaign = Campaign.objects.get(pk=campaign_id)
                raise WrongState(f"This campaign is {campaign.get_status_display().lower()}: too late for that.")
            tell(campaign_id, action, by, detail)
        log.info(f"campaign_{action.value}", campaign_id=campaign_id, by=by.get_username() if by else None)
        return Campaign.objects.select_related("template", "category").get(pk=campaign_id)

    def locked(self, campaign_id: int, *since: CampaignStatus) -> Campaign:
        """The campaign, held until the transaction's end so that nobody edits it meanwhile; WrongState elsewhere."""
        held = Campaign.objects.select_for_update(of=("self",)).select_related("template", "category")
        campaign = held.get(pk=campaign_id)
        if campaign.status not in since:
            raise WrongState(f"This campaign is {campaign.get_status_display().lower()} already.")
        return campaign

    def people(self, campaign: Campaign) -> int:
        """How many people it goes to now; NotReady when its segments mean nothing any more."""
        try:
            return self.audience.size(campaign)
        except DefinitionInvalid as error:
            raise NotReady(f"Its segment has to be put right first: {error}") from None

    def ready(self, campaign: Campaign) -> None:
        """Raise NotReady with the first thing that has to be put right."""
        for _, sentence in problems(campaign):
            raise NotReady(sentence)

    def settled(self, campaign: Campaign) -> None:
        """Raise NotReady while it is not known who is on one of its lists."""
        for _, sentence in unsettled(campaign):
            raise NotReady(sentence)


def may(by: User | None, permission: str) -> bool:
    return by is None or by.has_perm(f"campaigns.{permission}_campaign")
