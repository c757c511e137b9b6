"""The form of a draft."""

from campaigns.forms.draft import CampaignForm

__all__ = ["CampaignForm"]
