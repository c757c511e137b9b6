"""Segments and a list for the demo's campaigns."""

from typing import Any, Final

from campaigns.models import RecipientList, Segment
from campaigns.segments.lists import ListService
from campaigns.segments.services import SegmentService, Wishes
from preferences.models import Recipient

SEGMENTS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "Loyal customers": (
        "Ten orders and more, on a paid plan",
        {
            "all": [
                {"field": "attributes.orders", "op": "at_least", "value": 10},
                {"field": "attributes.plan", "op": "in", "value": ["plus", "pro"]},
            ]
        },
    ),
    "Quiet for a month": (
        "Were sent nothing for 30 days, and have an email address",
        {
            "all": [
                {"field": "sent", "op": "not_within_days", "value": {"days": 30}},
                {"field": "email", "op": "is_set"},
            ]
        },
    ),
}
LIST: Final = "Beta testers"
_TESTERS = 200


def seed() -> None:
    """Make what is missing."""
    for name, (description, definition) in SEGMENTS.items():
        if not Segment.objects.filter(name=name).exists():
            SegmentService().create(Wishes(name, description, definition), by=None)
    if not RecipientList.objects.filter(name=LIST).exists():
        made = ListService().create(LIST, "See new things first", by=None)
        testers = Recipient.objects.order_by("id").values_list("external_id", flat=True)[:_TESTERS]
        ListService().add(made.pk, list(testers))
