"""Dead letters by the dozen, for tests of what is done with them."""

from datetime import timedelta

from django.db.models import F

from core.ids import uuid7
from notifications.choices import Status
from notifications.models import DeadLetter, Delivery, ReplayRun


def letters(count: int = 1, *, status: str = Status.DEAD, **fields: object) -> list[DeadLetter]:
    """Open letters with their deliveries, in the order of their ids. Their notifications do not matter here."""
    facts = {
        "channel": "email",
        "priority": "normal",
        "provider": "mailhouse",
        "cause": "exhausted",
        "code": "unavailable",
        "detail": "503 from the vendor",
        **fields,
    }
    deliveries = Delivery.objects.bulk_create(
        Delivery(
            id=uuid7(),
            notification_id=uuid7(),
            recipient_id=uuid7(),
            channel=facts["channel"],
            priority=facts["priority"],
            status=status,
        )
        for _ in range(count)
    )
    return DeadLetter.objects.bulk_create(DeadLetter(delivery_id=delivery.pk, **facts) for delivery in deliveries)


def later(run: ReplayRun, seconds: float) -> None:
    """For this run, so much time passes."""
    ReplayRun.objects.filter(pk=run.pk).update(stepped_at=F("stepped_at") - timedelta(seconds=seconds))


def still_open() -> int:
    return DeadLetter.objects.filter(replayed_at=None).count()
