"""What stands in one person's inbox, page by page: for `settings.PERSONAL_DATA`."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from channels_app.models import FeedItem

PAGE = 200


def inbox(recipient_id: UUID) -> Iterator[list[dict[str, Any]]]:
    """Oldest first, by the index (recipient, seq)."""
    after = -1
    while True:
        rows = FeedItem.objects.filter(recipient=recipient_id, seq__gt=after).order_by("seq")
        page = list(
            rows.values("seq", "category", "title", "body", "link", "data", "created_at", "seen_at", "read_at")[:PAGE]
        )
        if not page:
            return
        after = page[-1]["seq"]
        yield [dict(row) for row in page]
