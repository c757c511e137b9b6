"""From an event on the record to a request at the endpoint of whoever sent the notification."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from analytics.webhooks.known import known
from analytics.webhooks.models import WebhookAttempt, WebhookEndpoint, WebhookMessage
from core import ids
from notifications.choices import EventType
from notifications.drafts import Draft
from notifications.messaging.base import WorkMessage
from notifications.models import ApiKey, Delivery, OutboxMessage
from notifications.services.claims import ProviderReceipt
from notifications.services.notification import NotificationService
from notifications.services.receipts import apply_receipts
from notifications.worker import Worker
from tests import factories
from tests.analytics.webhooks.conftest import make_endpoint
from tests.analytics.webhooks.receiver import Receiver
from tests.notifications.fakes import FakeProvider

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def catalog() -> None:
    factories.category("orders")
    factories.template("order-shipped")


def send(key: ApiKey, *recipients: str, **fields: Any) -> None:
    drafts = [
        Draft(recipient=one, category="orders", template="order-shipped", data={"order": "A1"}, **fields)
        for one in recipients
    ]
    NotificationService().send(drafts, source=f"api:{key.prefix}")


def deliver() -> None:
    """Hand every due outbox row of the deliveries to a worker, once."""
    rows = list(OutboxMessage.objects.filter(due_at__lte=timezone.now()).exclude(channel="webhook"))
    OutboxMessage.objects.filter(id__in=[row.id for row in rows]).delete()
    for row in rows:
        Worker().process(WorkMessage.of(row.channel, row.priority, row.delivery_ids))


def test_a_send_is_told_with_ids_and_codes_and_a_good_signature(
    endpoint: WebhookEndpoint, key: ApiKey, receiver: Receiver, provider: FakeProvider, work: Callable[[], Any]
) -> None:
    # Given a person and a notification of this key
    factories.recipient("ann", devices=0, phone="")
    send(key, "ann", channels=("email",), metadata={"order": "A1"})

    # When it goes out
    deliver()
    work()

    # Then the endpoint hears of it, signed, and nothing of what it says
    [one] = receiver.received
    delivery = Delivery.objects.get()
    assert receiver.verified(*endpoint.secrets)
    assert one.headers["content-type"] == "application/json"
    assert one.said["type"] == "notification.sent"
    assert one.said["data"] == {
        "notification": str(delivery.notification_id),
        "delivery": str(delivery.id),
        "recipient": "ann",
        "channel": "email",
        "event": "sent",
        "code": None,
        "provider": "fake",
        "metadata": {"order": "A1"},
        "test": False,
    }
    assert b"ann@example.com" not in one.body
    message = WebhookMessage.objects.get()
    assert (message.status, message.tries, one.id) == ("delivered", 1, f"msg_{message.id.hex}")
    assert one.said["timestamp"] == message.at.isoformat().replace("+00:00", "Z")
    attempt = WebhookAttempt.objects.get()
    assert (attempt.message_id, attempt.number, attempt.outcome, attempt.status) == (message.id, 1, "ok", 200)
    assert attempt.answer == "thanks"
    assert not OutboxMessage.objects.filter(channel="webhook").exists()


def test_what_is_skipped_at_acceptance_is_told_with_its_reason(
    endpoint: WebhookEndpoint, key: ApiKey, receiver: Receiver, work: Callable[[], Any]
) -> None:
    factories.recipient("ann", devices=0, email="", phone="")

    send(key, "ann", channels=("email",))
    work()

    [one] = receiver.received
    assert (one.said["type"], one.said["data"]["code"]) == ("notification.skipped", "no_address")


def test_receipts_are_told(
    endpoint: WebhookEndpoint, key: ApiKey, receiver: Receiver, provider: FakeProvider, work: Callable[[], Any]
) -> None:
    factories.recipient("ann", devices=0, phone="")
    send(key, "ann", channels=("email",))
    deliver()

    id = Delivery.objects.get().id
    apply_receipts([ProviderReceipt(id, type, "fake") for type in (EventType.DELIVERED, EventType.CLICKED)])
    apply_receipts([ProviderReceipt(id, EventType.DELIVERED, "fake")])  # twice: no news
    work()

    assert receiver.types == [f"notification.{one}" for one in ("clicked", "delivered", "opened", "sent")]


def test_a_failure_is_told_with_its_code(
    endpoint: WebhookEndpoint, key: ApiKey, receiver: Receiver, provider: FakeProvider, work: Callable[[], Any]
) -> None:
    factories.recipient("ann", devices=0, phone="")
    provider.refuse_address()
    send(key, "ann", channels=("email",))

    deliver()
    work()

    [one] = receiver.received
    assert (one.said["type"], one.said["data"]["code"]) == ("notification.failed", "invalid_address")


def test_an_endpoint_hears_only_what_it_asked_for_and_only_of_its_own_keys(
    receiver: Receiver, key: ApiKey, provider: FakeProvider, work: Callable[[], Any]
) -> None:
    # Given an endpoint that wants failures, and one of another key that wants everything
    other, _ = factories.api_key()
    make_endpoint(receiver.url, key, events=["failed"])
    make_endpoint(receiver.url, other)
    factories.recipient("ann", devices=0, phone="")

    send(key, "ann", channels=("email",))
    deliver()
    work()

    assert receiver.received == []
    assert not WebhookMessage.objects.exists()


def test_two_keys_of_a_service_that_exchanges_them_are_both_heard(
    receiver: Receiver, key: ApiKey, provider: FakeProvider, work: Callable[[], Any]
) -> None:
    new, _ = factories.api_key()
    make_endpoint(receiver.url, key, new)
    factories.recipient("ann", devices=0, phone="")

    for one in (key, new):
        send(one, "ann", channels=("email",))
    deliver()
    work()

    assert receiver.types == ["notification.sent", "notification.sent"]


def test_an_endpoint_of_a_revoked_key_hears_nothing_more(
    endpoint: WebhookEndpoint, key: ApiKey, receiver: Receiver, provider: FakeProvider, work: Callable[[], Any]
) -> None:
    # Given an event that waits to be told
    factories.recipient("ann", devices=0, phone="")
    send(key, "ann", channels=("email",))
    deliver()

    # When the key is revoked, and something else happens
    ApiKey.objects.filter(pk=key.pk).update(revoked_at=timezone.now())
    known.expire()
    apply_receipts([ProviderReceipt(Delivery.objects.get().id, EventType.DELIVERED, "fake")])
    work()

    # Then neither is told
    assert receiver.received == []
    assert list(WebhookMessage.objects.values_list("type", "status", "end_reason")) == [("sent", "failed", "off")]


def test_a_rollback_tells_nothing(endpoint: WebhookEndpoint, key: ApiKey) -> None:
    factories.recipient("ann", devices=0, email="", phone="")

    with transaction.atomic():
        send(key, "ann", channels=("email",))
        assert WebhookMessage.objects.count() == 1
        transaction.set_rollback(True)

    assert not WebhookMessage.objects.exists()
    assert not OutboxMessage.objects.exists()


def test_an_erased_person_is_not_named(
    endpoint: WebhookEndpoint, key: ApiKey, receiver: Receiver, provider: FakeProvider, work: Callable[[], Any]
) -> None:
    person = factories.recipient("ann", devices=0, phone="")
    send(key, "ann", channels=("email",))
    deliver()
    person.delete()

    work()

    [one] = receiver.received
    assert one.said["data"]["recipient"] is None


def test_nobody_listens_and_nothing_is_asked_or_written(key: ApiKey, django_assert_num_queries: Any) -> None:
    from analytics.webhooks.listener import WebhookListener

    with django_assert_num_queries(0):
        assert not WebhookListener().sources()
    factories.recipient("ann", devices=0, email="", phone="")

    send(key, "ann", channels=("email",))

    assert not WebhookMessage.objects.exists()


def test_messages_of_a_batch_are_one_row_of_the_outbox(
    endpoint: WebhookEndpoint, key: ApiKey, receiver: Receiver, work: Callable[[], Any]
) -> None:
    for n in range(30):
        factories.recipient(f"person-{n}x", devices=0, email="", phone="")

    send(key, *(f"person-{n}x" for n in range(30)), channels=("email",))

    assert [len(row.delivery_ids) for row in OutboxMessage.objects.all()] == [30]
    work()
    assert len({one.id for one in receiver.received}) == 30
    assert {ids.uuid(bytes.fromhex(one.id.removeprefix("msg_"))) for one in receiver.received} == set(
        WebhookMessage.objects.values_list("id", flat=True)
    )
