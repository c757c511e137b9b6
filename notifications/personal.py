"""What the record says to and about one person, page by page: for `settings.PERSONAL_DATA`."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from notifications.models import Delivery, Notification

PAGE = 200


def notifications(recipient_id: UUID) -> Iterator[list[dict[str, Any]]]:
    """Their notifications of the kept time, oldest first, by the index (recipient, id)."""
    after = UUID(int=0)
    while True:
        rows = Notification.objects.filter(recipient=recipient_id, pk__gt=after).order_by("pk")
        found = list(
            rows.values("id", "created_at", "category__slug", "priority", "content", "data", "metadata")[:PAGE]
        )
        if not found:
            return
        after = found[-1]["id"]
        sent: dict[UUID, list[dict[str, Any]]] = defaultdict(list)
        deliveries = Delivery.objects.filter(notification__in=[row["id"] for row in found]).order_by("pk")
        for one in deliveries.values(
            "notification_id", "channel", "status", "skip_reason", "sent_at", "delivered_at", "opened_at", "clicked_at"
        ):
            sent[one["notification_id"]].append({key: said for key, said in one.items() if key != "notification_id"})
        yield [{**row, "deliveries": sent[row["id"]]} for row in found]
