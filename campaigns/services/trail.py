"""The audit trail: what was done with a campaign, and by whom."""

from collections.abc import Mapping

from django.contrib.auth.models import User

from campaigns.models import Action, CampaignEvent

#: Characters of an account's name that the trail keeps: all that Django lets one have.
_NAME = 150


def tell(campaign_id: int, action: Action, by: User | None = None, detail: Mapping[str, object] | None = None) -> None:
    """Add to the trail. Call it in the transaction that does what it tells."""
    CampaignEvent.objects.create(
        campaign_id=campaign_id,
        action=action,
        actor_id=by.pk if by else None,
        actor_name=by.get_username()[:_NAME] if by else "",
        detail=dict(detail or {}),
    )
