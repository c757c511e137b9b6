"""Who a recipient is and how they may be reached."""

from preferences.digesting.models import DigestChoice
from preferences.keywords.models import HeardKeyword
from preferences.models.category import MAX_CAP, MAX_DEDUP_SECONDS, Category, all_channels
from preferences.models.change import ALL_MARKETING, ChangeRecord
from preferences.models.recipient import DeviceToken, Recipient
from preferences.models.suppression import Suppression
from preferences.models.wish import MarketingStop, Preference
from preferences.personal.models import SentLink

__all__ = [
    "ALL_MARKETING",
    "MAX_CAP",
    "MAX_DEDUP_SECONDS",
    "Category",
    "ChangeRecord",
    "DeviceToken",
    "DigestChoice",
    "HeardKeyword",
    "MarketingStop",
    "Preference",
    "Recipient",
    "SentLink",
    "Suppression",
    "all_channels",
]
