"""Writing drafts: a campaign with its list and its variants, in one transaction that the trail tells of."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from campaigns.errors import WrongState
from campaigns.models import Action, Audience, Campaign, CampaignStatus, CampaignVariant
from campaigns.models.variant import LABELS
from campaigns.services.audience import AudienceService
from campaigns.services.trail import tell
from notifications.models import MessageTemplate


@dataclass(frozen=True, slots=True)
class Variant:
    """A wording to be tried, and its part of the test in percent."""

    template: MessageTemplate
    weight: int


@dataclass(frozen=True, slots=True)
class Parts:
    """What belongs to a draft besides its own row: the people of a pasted list, and the variants in their order."""

    members: Sequence[UUID] = ()
    variants: Sequence[Variant] = ()


class DraftService:
    """Keeps and deletes drafts. WrongState for what is no draft any more."""

    def keep(self, campaign: Campaign, parts: Parts, *, by: User | None) -> Campaign:
        """Save it, new or changed. Who edits last is held against an approval by the same person."""
        is_new = campaign.pk is None
        with transaction.atomic():
            if is_new:
                campaign.created_by = by
            else:
                self._hold(campaign.pk)
            campaign.edited_by, campaign.edited_at = by, timezone.now()
            campaign.save()
            AudienceService().keep(campaign, parts.members if campaign.audience == Audience.LIST else ())
            self._keep_variants(campaign, parts.variants)
            tell(campaign.pk, Action.CREATED if is_new else Action.EDITED, by)
        return campaign

    def delete(self, campaign_id: int) -> None:
        """For good. What it did stays in the trail."""
        with transaction.atomic():
            self._hold(campaign_id).delete()

    def _hold(self, campaign_id: int) -> Campaign:
        held = Campaign.objects.select_for_update(of=("self",)).get(pk=campaign_id)
        if held.status != CampaignStatus.DRAFT:
            raise WrongState(f"This campaign is {held.get_status_display().lower()}, so nothing was changed.")
        return held

    def _keep_variants(self, campaign: Campaign, variants: Sequence[Variant]) -> None:
        campaign.variants.all().delete()
        CampaignVariant.objects.bulk_create(
            CampaignVariant(campaign=campaign, label=label, template=variant.template, weight=variant.weight)
            for label, variant in zip(LABELS, variants, strict=False)
        )
