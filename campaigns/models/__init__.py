"""What managers send: a campaign, its variants, the list of people it goes to, and what was done with it."""

from campaigns.choices import (
    Action,
    Audience,
    CampaignStatus,
    Phase,
    Recurrence,
    Schedule,
    WinnerMetric,
)
from campaigns.models.campaign import Campaign
from campaigns.models.event import CampaignEvent
from campaigns.models.people import CampaignMember, CampaignTarget
from campaigns.models.variant import CampaignVariant, VariantReading
from campaigns.segments.models import (
    ListUpload,
    ListUploadPart,
    ListUploadReject,
    ListUploadSeen,
    RecipientList,
    RecipientListMember,
    Segment,
    UploadState,
)

__all__ = [
    "Action",
    "Audience",
    "Campaign",
    "CampaignEvent",
    "CampaignMember",
    "CampaignStatus",
    "CampaignTarget",
    "CampaignVariant",
    "ListUpload",
    "ListUploadPart",
    "ListUploadReject",
    "ListUploadSeen",
    "Phase",
    "RecipientList",
    "RecipientListMember",
    "Recurrence",
    "Schedule",
    "Segment",
    "UploadState",
    "VariantReading",
    "WinnerMetric",
]
