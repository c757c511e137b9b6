"""A worker of webhooks that is killed in the middle: at least once, each with one id, and nothing lost."""

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.test import override_settings

from analytics.webhooks.listener import schedule
from analytics.webhooks.models import WebhookEndpoint, WebhookMessage
from analytics.webhooks.payload import message_id
from core.standard_webhooks import new_secret
from notifications import messaging
from notifications.models import OutboxMessage
from tests import factories
from tests.analytics.webhooks.receiver import Receiver
from tests.faults.programs import Program, wait_until

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]

MESSAGES = 600
TRANSPORTS = ["database", pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)]
Run = Callable[..., Program]


@pytest.fixture
def run(request: Any, process_env: dict[str, str], tmp_path: Any) -> Iterator[Run]:
    """Starts commands on the transport that the test is given; all are killed at its end."""
    env = {
        **process_env,
        "OUTBOUND_ALLOW_PRIVATE": "127.0.0.0/8",
        "WEBHOOK_TIMEOUT_SECONDS": "2",
        "LEASE_SECONDS": "8",
        "PROVIDER_TIMEOUT_SECONDS": "2",
        "VISIBILITY_SECONDS": "9",
        "RECONCILE_AFTER_SECONDS": "1",
    }
    broker = {}
    if request.getfixturevalue("transport") == "rabbitmq":
        broker["BROKER_URL"] = request.getfixturevalue("broker_url")
        broker["BROKER_PREFIX"] = f"{settings.BROKER_PREFIX}.webhooks.{os.getpid()}"
    started: list[Program] = []

    def start(*command: str) -> Program:
        log = tmp_path / f"{len(started)}-{command[0]}.log"
        started.append(Program(command[0], [sys.executable, "manage.py", *command], env | broker, log))
        return started[-1]

    if broker:
        start("run_relay")
    yield start
    for program in started:
        program.kill()
    if broker:
        with override_settings(**broker):
            messaging.delete_topology()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver().listening() as made:
        yield made


def queue(receiver: Receiver) -> list[WebhookMessage]:
    endpoint = WebhookEndpoint.objects.create(url=receiver.url, secrets=[new_secret()])
    endpoint.keys.set([factories.api_key()[0]])
    made = WebhookMessage.objects.bulk_create(WebhookMessage(endpoint=endpoint, type="test") for _ in range(MESSAGES))
    schedule([message.id.bytes for message in made])
    return made


def delivered() -> int:
    return WebhookMessage.objects.filter(status="delivered").count()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_killed_worker_loses_nothing(transport: str, run: Run, receiver: Receiver) -> None:
    # Given a receiver that takes its time, and a worker in the middle of its batch
    receiver.pause = 0.3
    messages = queue(receiver)
    first = run("run_worker", "--channel", "webhook")
    wait_until(lambda: len(receiver.received) > 40, 60, "some requests")

    # When it is killed, and another takes its place
    first.kill()
    receiver.pause = 0.0
    before = len(receiver.received)
    run("run_worker", "--channel", "webhook")

    # Then everything arrives, with the id it had, and twice only what the first one had sent and not recorded
    wait_until(lambda: delivered() == MESSAGES, 90, "the last message")
    times = Counter(one.id for one in receiver.received)
    assert set(times) == {message_id(message.id.bytes) for message in messages}
    assert sum(times.values()) - MESSAGES <= before + 20
    assert not OutboxMessage.objects.filter(channel="webhook").exists()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_receiver_that_comes_back_gets_everything(transport: str, run: Run, receiver: Receiver) -> None:
    # Given a receiver that answers with errors, until its circuit opens
    receiver.status = 500
    messages = queue(receiver)
    run("run_worker", "--channel", "webhook")
    wait_until(lambda: WebhookMessage.objects.filter(holds__gt=0).exists(), 60, "a hold")

    # When it is well again
    receiver.status = 200
    WebhookEndpoint.objects.update(failing_since=None)
    OutboxMessage.objects.filter(channel="webhook").update(due_at="2020-01-01T00:00:00Z")

    # Then a probe finds out, and all are told, most of them without an attempt wasted
    until = time.monotonic() + 150
    while delivered() < MESSAGES and time.monotonic() < until:
        OutboxMessage.objects.filter(channel="webhook", takes=0).update(due_at="2020-01-01T00:00:00Z")
        time.sleep(2)
    assert delivered() == len(messages)
    assert len({one.id for one in receiver.received}) == MESSAGES
    assert WebhookMessage.objects.filter(holds__gt=0).count() > MESSAGES / 2


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_sigterm_finishes_what_is_in_hand_and_sends_nothing_twice(transport: str, run: Run, receiver: Receiver) -> None:
    receiver.pause = 0.2
    queue(receiver)
    first = run("run_worker", "--channel", "webhook")
    wait_until(lambda: len(receiver.received) > 40, 60, "some requests")

    assert first.stop() == 0
    assert not WebhookMessage.objects.filter(status="sending").exists()
    receiver.pause = 0.0
    run("run_worker", "--channel", "webhook")

    wait_until(lambda: delivered() == MESSAGES, 60, "the last message")
    assert len(receiver.received) == MESSAGES
