from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.utils import timezone

from analytics.webhooks.known import known
from analytics.webhooks.listener import CHANNEL
from analytics.webhooks.models import WebhookEndpoint
from analytics.webhooks.worker import WebhookWorker
from core.standard_webhooks import new_secret
from notifications.messaging.base import Verdict, WorkMessage
from notifications.models import ApiKey, OutboxMessage
from tests import factories
from tests.analytics.webhooks.receiver import Receiver
from tests.notifications.fakes import FakeProvider, use_provider


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    settings.OUTBOUND_ALLOW_PRIVATE = ["127.0.0.0/8"]
    with Receiver().listening() as made:
        yield made


@pytest.fixture
def key(db: None) -> ApiKey:
    return factories.api_key()[0]


@pytest.fixture
def provider(settings: Any) -> FakeProvider:
    return use_provider(settings, FakeProvider("fake"))


@pytest.fixture
def endpoint(receiver: Receiver, key: ApiKey) -> WebhookEndpoint:
    return make_endpoint(receiver.url, key)


def make_endpoint(url: str, *keys: ApiKey, **fields: Any) -> WebhookEndpoint:
    made = WebhookEndpoint.objects.create(url=url, secrets=[new_secret()], **fields)
    made.keys.set(keys)
    known.expire()
    return made


@pytest.fixture
def worker() -> Iterator[WebhookWorker]:
    made = WebhookWorker()
    yield made
    made.close()


@pytest.fixture
def work(worker: WebhookWorker) -> Callable[[], list[Verdict]]:
    """Hand every due outbox row of the webhook lanes to a worker, once."""

    def run() -> list[Verdict]:
        rows = list(OutboxMessage.objects.filter(channel=CHANNEL, due_at__lte=timezone.now()).order_by("id"))
        OutboxMessage.objects.filter(id__in=[row.id for row in rows]).delete()
        return [worker.process(WorkMessage.of(row.channel, row.priority, row.delivery_ids)) for row in rows]

    return run
