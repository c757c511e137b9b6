"""The admin pages of segments and lists."""

from campaigns.segments.admin.recipient_list import RecipientListAdmin
from campaigns.segments.admin.segment import SegmentAdmin

__all__ = ["RecipientListAdmin", "SegmentAdmin"]
