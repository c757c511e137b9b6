"""What people did with what stands in their inbox: asked of the app that keeps it, `settings.ENGAGEMENT_LOOKUP`.

The record knows what was delivered and opened. That an item was in sight, that the whole list was marked as read or
that it was put away, only the inbox knows.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import NamedTuple, Protocol

from core.ids import Key


class Attention(NamedTuple):
    """When an item was in sight for the first time, and when it was read or put away; None for not yet."""

    seen_at: datetime | None
    read_at: datetime | None


class EngagementLookup(Protocol):
    def __call__(self, deliveries: Collection[Key]) -> Mapping[Key, Attention]:
        """Of these in-app deliveries, in one query. What is not known is missing. Raises django.db.Error."""
        ...
