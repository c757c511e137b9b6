"""What can be done with a campaign; the admin and the runner only call these."""

from campaigns.services.audience import MAX_LIST, AudienceService, MemberList
from campaigns.services.drafts import DraftService, Parts, Variant
from campaigns.services.fanout import FanOut
from campaigns.services.lifecycle import CampaignService
from campaigns.services.phases import choose_winner, may_choose
from campaigns.services.trail import tell
from campaigns.services.withdraw import Withdraw

__all__ = [
    "MAX_LIST",
    "AudienceService",
    "CampaignService",
    "DraftService",
    "FanOut",
    "MemberList",
    "Parts",
    "Variant",
    "Withdraw",
    "choose_winner",
    "may_choose",
    "tell",
]
