"""Nothing is forgotten, and the log does not grow for ever."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from analytics.webhooks import endpoints, upkeep
from analytics.webhooks.listener import WebhookListener, schedule
from analytics.webhooks.models import WebhookAttempt, WebhookEndpoint, WebhookMessage
from analytics.webhooks.upkeep import Sweeper
from core import ids
from notifications import messaging
from notifications.errors import BrokerUnavailable
from notifications.maintenance import Maintenance
from notifications.models import ApiKey, Notification, OutboxMessage
from notifications.observers import Happening
from preferences.services import PreferencesService
from tests import factories

pytestmark = pytest.mark.django_db


def message(endpoint: WebhookEndpoint, age: timedelta = timedelta(hours=1), **fields: Any) -> WebhookMessage:
    id = ids.deterministic(timezone.now() - age, [WebhookMessage.objects.count()])
    return WebhookMessage.objects.create(id=id, endpoint=endpoint, type="test", **fields)


def outbox() -> list[Any]:
    return [id for row in OutboxMessage.objects.all() for id in row.delivery_ids]


def test_what_nothing_reaches_any_more_is_put_back(endpoint: WebhookEndpoint) -> None:
    # Given a message whose place in the outbox was lost, and one whose worker was
    lost = message(endpoint)
    orphan = message(endpoint, status="sending", lease_until=timezone.now() - timedelta(minutes=1))
    # And others that have ended, are in a worker's hands, wait for their turn, or are too new
    message(endpoint, status="delivered")
    message(endpoint, status="sending", lease_until=timezone.now() + timedelta(minutes=1))
    waiting = message(endpoint)
    schedule([waiting.id.bytes])
    message(endpoint, timedelta(seconds=10))

    sweeper = Sweeper()

    assert sweeper.step() == 0  # a worker may just have taken them
    assert sweeper.step() == 2
    assert sorted(outbox()) == sorted([lost.id, orphan.id, waiting.id])
    assert [sweeper.step(), sweeper.step()] == [0, 0]


@pytest.mark.parametrize("depth", [{("webhook", "normal"): 3}, BrokerUnavailable("away")])
def test_what_may_be_in_the_broker_is_left_alone(
    endpoint: WebhookEndpoint, monkeypatch: pytest.MonkeyPatch, depth: Any
) -> None:
    def depths() -> Any:
        if isinstance(depth, Exception):
            raise depth
        return depth

    monkeypatch.setattr(messaging, "depths", depths)
    message(endpoint)
    sweeper = Sweeper()

    assert [sweeper.step(), sweeper.step(), sweeper.step()] == [0, 0, 0]


def test_old_messages_go_with_their_log_and_unfinished_ones_stay(endpoint: WebhookEndpoint, settings: Any) -> None:
    settings.WEBHOOK_RETENTION_DAYS = 30
    old = message(endpoint, timedelta(days=31), status="delivered")
    WebhookAttempt.objects.create(message=old, number=1, outcome="ok", status=200, milliseconds=5)
    unfinished = message(endpoint, timedelta(days=32))
    young = message(endpoint, timedelta(days=29), status="failed")

    assert upkeep.purge() == 1

    assert set(WebhookMessage.objects.all()) == {unfinished, young}
    assert not WebhookAttempt.objects.exists()


def test_with_a_retention_of_0_everything_stays(endpoint: WebhookEndpoint, settings: Any) -> None:
    settings.WEBHOOK_RETENTION_DAYS = 0
    message(endpoint, timedelta(days=900), status="delivered")

    assert upkeep.purge() == 0


def test_a_deleted_endpoint_goes_with_its_messages(endpoint: WebhookEndpoint) -> None:
    message(endpoint)
    endpoints.delete(endpoint)
    assert not endpoints.endpoints().exists()
    WebhookEndpoint.objects.update(deleted_at=timezone.now() - upkeep.STAYS - timedelta(seconds=1))

    upkeep.purge()

    assert not WebhookMessage.objects.exists()
    assert not WebhookEndpoint.objects.exists()


def test_who_has_not_heard_of_a_deletion_can_still_record(endpoint: WebhookEndpoint, key: ApiKey) -> None:
    # Given a process that knows an endpoint
    listener = WebhookListener()
    source = f"api:{key.prefix}"
    assert source in listener.sources()
    # When that is deleted elsewhere, and maintenance comes by at once
    WebhookEndpoint.objects.update(is_on=False, deleted_at=timezone.now())
    upkeep.purge()
    # Then what the process tells meanwhile does not take its transaction down
    listener.tell([Happening(ids.uuid7().bytes, ids.uuid7().bytes, source, "email", "sent")])
    connection.check_constraints()


def test_an_erasure_takes_along_what_receivers_said_of_that_person(endpoint: WebhookEndpoint) -> None:
    # Given endpoints that repeat whom they were told of
    for name in ("ann", "bob"):
        person = factories.recipient(external_id=name)
        told = Notification.objects.create(
            recipient=person, category=factories.category(), priority="normal", source="test"
        )
        about = message(endpoint, notification_id=told.id)
        WebhookAttempt.objects.create(message=about, number=1, outcome="ok", status=200, milliseconds=5, answer=name)
    # When one of them is erased
    PreferencesService().erase("ann")
    # Then the log has that request still, and the other's answer
    assert sorted(WebhookAttempt.objects.values_list("answer", flat=True)) == ["", "bob"]


def test_maintenance_does_both() -> None:
    names = {task.name for task in Maintenance().tasks}
    assert {"analytics.webhooks.upkeep.sweep", "analytics.webhooks.upkeep.purge"} <= names
