"""Messages that go out step by step: send, let time pass, work."""

from datetime import timedelta
from typing import Any

from django.db.models import F
from django.utils import timezone

from notifications.drafts import Accepted, Draft
from notifications.messaging.base import WorkMessage
from notifications.models import Delivery, Notification, OutboxMessage
from notifications.services.notification import NotificationService
from notifications.worker import Worker

CONTENT = {"title": "Your order", "body": "It has left."}
STEPS = [
    {"channel": "in_app"},
    {"channel": "push", "after": 600, "unless": "seen"},
    {"channel": "email", "after": 3600, "unless": "read"},
]
ESCALATE = {"escalate": STEPS}


def send(recipient: str = "ann", **fields: Any) -> Accepted:
    draft = Draft(**{"recipient": recipient, "category": "orders", "content": CONTENT, **fields})
    return NotificationService().send([draft], source="api:test")[0]


def pass_time(seconds: float) -> None:
    """Everything on the record happened so much longer ago, and everything due is due so much sooner."""
    back = timedelta(seconds=seconds)
    Notification.objects.update(created_at=F("created_at") - back)
    moments = ("created_at", "sent_at", "delivered_at", "opened_at", "clicked_at")
    Delivery.objects.update(**{name: F(name) - back for name in moments})
    OutboxMessage.objects.update(due_at=F("due_at") - back)


def work() -> None:
    """Hand every due outbox row to a worker, until nothing is due."""
    while rows := list(OutboxMessage.objects.filter(due_at__lte=timezone.now()).order_by("id")):
        OutboxMessage.objects.filter(id__in=[row.id for row in rows]).delete()
        for row in rows:
            Worker().process(WorkMessage.of(row.channel, row.priority, row.delivery_ids))


def went(provider: Any) -> list[str]:
    """The channels of what the provider took, in order."""
    return [message.channel for message in provider.calls]


def delivery(channel: str) -> Delivery:
    return Delivery.objects.get(channel=channel)


def waits(channel: str) -> float:
    """Seconds until the outbox has it due, about."""
    row = OutboxMessage.objects.filter(channel=channel).latest("due_at")
    return round((row.due_at - timezone.now()).total_seconds() / 5) * 5
