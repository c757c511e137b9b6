"""From rows of the record to the shapes of the API."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from notifications import summaries
from notifications.api.shapes import (
    AcceptedNotification,
    DeliveryBrief,
    DeliveryShape,
    DigestPlace,
    NotificationBrief,
    NotificationDetail,
    TimelineEvent,
    Waiting,
)
from notifications.choices import Channel, Priority, SkipReason, Status, Strategy, Unless
from notifications.drafts import Accepted
from notifications.models import Delivery, DeliveryEvent, DigestState, Notification
from notifications.selectors import Detail, Names
from notifications.services.deduplication import first_of
from notifications.strategies import telling
from notifications.strategies.telling import Outlook
from notifications.summaries import RequestSummary


def url_of(notification_id: UUID) -> str:
    """Where a notification can be read; `reverse` would take longer than the rest of the answer."""
    return f"/api/v1/notifications/{notification_id}/"


def accepted(one: Accepted) -> AcceptedNotification:
    id = one.id
    return AcceptedNotification(id, one.deliveries, one.skipped, url_of(id), one.duplicate_of)


def brief(row: Notification, deliveries: Sequence[Delivery], names: Names) -> NotificationBrief:
    return NotificationBrief(**_common(row, names), deliveries=[_delivery_brief(one) for one in deliveries])


def detail(found: Detail) -> NotificationDetail:
    row = found.notification
    asked = summaries.requests(found.deliveries)
    waiting = telling.outlook(row, found.deliveries)
    return NotificationDetail(
        **_common(row, found.names),
        dedup_key=row.dedup_key,
        duplicate_of=first_of(event.detail for events in found.events.values() for event in events),
        digest=_digest(found),
        digest_of=list(found.gathered),
        strategy=Strategy(row.plan["strategy"]) if row.plan else Strategy.ALL,
        content=row.content,
        data=row.data,
        metadata=row.metadata,
        deliveries=[
            _delivery(one, found.events.get(one.id, []), asked.get(one.id), waiting.get(one.id))
            for one in found.deliveries
        ],
    )


def _digest(found: Detail) -> DigestPlace | None:
    one = found.digest
    return None if one is None else DigestPlace(one.id, DigestState(one.state), one.closes_at, one.notification_id)


def _common(row: Notification, names: Names) -> dict[str, Any]:
    template, version = names.templates.get(row.template_version_id or 0, (None, None))
    return {
        "id": row.id,
        "recipient": names.recipients.get(row.recipient_id),
        "category": names.categories.get(row.category_id),
        "template": template,
        "template_version": version,
        "priority": Priority(row.priority),
        "source": row.source,
        "is_test": row.is_test,
        "created_at": row.created_at,
        "send_at": row.send_at,
        "expires_at": row.expires_at,
        "cancelled_at": row.cancelled_at,
        "url": url_of(row.id),
    }


def _delivery_brief(row: Delivery) -> DeliveryBrief:
    return DeliveryBrief(row.id, Channel(row.channel), Status(row.status), _skip_reason(row))


def _delivery(
    row: Delivery, events: Sequence[DeliveryEvent], request: RequestSummary | None, waiting: Outlook | None
) -> DeliveryShape:
    timeline = [TimelineEvent("accepted", row.created_at)]
    timeline += [
        TimelineEvent(
            event.type, event.at, event.attempt, event.provider, event.code, event.detail, event.provider_message_id
        )
        for event in events
    ]
    return DeliveryShape(
        id=row.id,
        channel=Channel(row.channel),
        priority=Priority(row.priority),
        status=Status(row.status),
        skip_reason=_skip_reason(row),
        device_token=row.device_token_id,
        attempts=row.tries,
        provider=row.provider or None,
        error_code=row.error_code or None,
        created_at=row.created_at,
        sent_at=row.sent_at,
        delivered_at=row.delivered_at,
        opened_at=row.opened_at,
        clicked_at=row.clicked_at,
        waiting=Waiting(waiting.until, Unless(waiting.unless), waiting.says) if waiting else None,
        request=request,
        timeline=timeline,
    )


def _skip_reason(row: Delivery) -> SkipReason | None:
    return SkipReason(row.skip_reason) if row.skip_reason else None
