"""The simulator in its place: from a draft over the worker to what the vendor reports afterwards."""

from typing import Any

import pytest
from django.conf import settings as conf
from django.utils import timezone

from notifications import registry
from notifications.drafts import Draft
from notifications.messaging.base import Verdict, WorkMessage
from notifications.models import Delivery, DeliveryEvent, OutboxMessage, SimulatedReceipt
from notifications.providers.breaker import Breaker
from notifications.services.notification import NotificationService
from notifications.worker import Worker
from tests import courier, factories
from tests.notifications.providers.test_receipts import suppressed

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _simulator(settings: Any) -> None:
    """No chance, no waiting: what happens is what the recipient's magic says."""
    certain = {"success_rate": 1.0, "latency_ms": 0.0, "receipts": True, "receipt_delay_ms": 0.0}
    settings.PROVIDERS = {
        **settings.PROVIDERS,
        **{name: {**settings.PROVIDERS[name], "options": certain} for name in settings.TEST_PROVIDERS.values()},
    }
    registry.provider.cache_clear()
    factories.category("orders")


def run(external_id: str, channel: str, *, attempts: int = 1, is_test: bool = False) -> tuple[str, list[str]]:
    """Send to a recipient and let everything happen: the status it ends with, and its timeline."""
    content = {"title": "Order 4711", "body": "It has left."}
    draft = Draft(recipient=external_id, category="orders", content=content, channels=[channel])
    (accepted,) = NotificationService().send([draft], source="test", is_test=is_test)
    for _ in range(attempts):
        OutboxMessage.objects.update(due_at=timezone.now())  # time passes, and pauses with it
        for name in conf.PROVIDER_CHAINS[channel]:
            Breaker().reset(name)
        for row in OutboxMessage.objects.all():
            row.delete()
            assert Worker().process(WorkMessage.of(row.channel, row.priority, row.delivery_ids)) is Verdict.DONE
    courier.receipts()
    delivery = Delivery.objects.get(notification_id=accepted.id)
    return delivery.status, list(
        DeliveryEvent.objects.filter(delivery=delivery).order_by("id").values_list("type", flat=True)
    )


@pytest.mark.parametrize(
    ("name", "attempts", "status", "timeline"),
    [
        ("success", 1, "delivered", ["sent", "delivered"]),
        ("click", 1, "delivered", ["sent", "delivered", "opened", "clicked"]),
        ("bounce", 1, "bounced", ["sent", "bounced"]),
        ("flaky", 3, "delivered", ["deferred", "deferred", "sent", "delivered"]),
        ("throttle", 2, "delivered", ["held", "sent", "delivered"]),
        ("reject", 1, "failed", ["failed"]),
        ("temporary", 8, "dead", ["deferred"] * 7 + ["dead"]),
    ],
)
def test_magic_shows_in_the_timeline(name: str, attempts: int, status: str, timeline: list[str]) -> None:
    factories.recipient("tester", email=f"{name}@carillon.test")

    assert run("tester", "email", attempts=attempts) == (status, timeline)


def test_a_live_bounce_suppresses_and_a_test_one_does_not() -> None:
    live = factories.recipient("live", email="bounce+live@carillon.test")
    trial = factories.recipient("trial", email="bounce+trial@carillon.test")

    assert run("live", "email")[0] == "bounced"
    assert run("trial", "email", is_test=True)[0] == "bounced"

    assert suppressed(live) == {("email", "hard_bounce")}
    assert suppressed(trial) == set()


def test_an_invalid_device_is_retired() -> None:
    person = factories.recipient("tester", devices=0)
    device = factories.device(person, token="magic-invalid-old-phone")

    assert run("tester", "push")[0] == "failed"

    device.refresh_from_db()
    assert device.retired_at is not None


def test_nothing_is_left_to_report() -> None:
    factories.recipient("tester", email="click@carillon.test")

    run("tester", "email")

    assert SimulatedReceipt.objects.count() == 0
