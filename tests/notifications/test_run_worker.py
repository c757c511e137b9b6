"""The worker as the process it is: drains on SIGTERM, loses nothing on SIGKILL."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.test import override_settings

from notifications import messaging
from notifications.choices import EventType, Status
from notifications.models import Delivery, DeliveryEvent, OutboxMessage
from tests import factories
from tests.notifications.test_pipeline import draft, send

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.django_db(transaction=True)


def wait_until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


@pytest.fixture
def env(process_env: dict[str, str], tmp_path: Path) -> dict[str, str]:
    return {
        **process_env,
        "SIMULATOR_SUCCESS_RATE": "1",
        "SIMULATOR_TEMPORARY_RATE": "0",
        "SIMULATOR_INVALID_RATE": "0",
        "SIMULATOR_LATENCY_MS": "0",
        "SIMULATOR_RECEIPTS": "0",
        "SIMULATOR_JOURNAL": str(tmp_path / "journal"),
        "LEASE_SECONDS": "8",
        "PROVIDER_TIMEOUT_SECONDS": "2",
        "VISIBILITY_SECONDS": "9",
    }


@pytest.fixture
def run(env: dict[str, str]) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start a `manage.py` command; at the end all are killed, and then their queues deleted."""
    started: list[subprocess.Popen[bytes]] = []
    brokers: list[dict[str, str]] = []

    def start(*arguments: str, **more: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, str(ROOT / "manage.py"), *arguments], env={**env, **more}, cwd=ROOT)
        started.append(process)
        if "BROKER_URL" in more:
            brokers.append({name: more[name] for name in ("BROKER_URL", "BROKER_PREFIX")})
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait(timeout=10)
    for broker in brokers[:1]:
        with override_settings(**broker):
            messaging.delete_topology()


def accepted(count: int) -> None:
    factories.category("orders")
    factories.template("order-shipped")
    factories.recipients(count)
    for at in range(0, count, 500):
        send(*[draft(f"person-{n}", channels=["email"]) for n in range(at, min(at + 500, count))])


def unfinished() -> int:
    return Delivery.objects.filter(status__in=[Status.QUEUED, Status.SENDING]).count()


def test_a_worker_sends_what_is_queued_and_leaves_with_0_on_sigterm(run):
    accepted(300)
    worker = run("run_worker", "--channel", "email")
    wait_until(lambda: unfinished() == 0)

    worker.send_signal(signal.SIGTERM)

    assert worker.wait(timeout=30) == 0
    assert set(Delivery.objects.values_list("status", flat=True)) == {Status.SENT}
    assert not OutboxMessage.objects.exists()


def test_sigterm_in_the_middle_finishes_what_is_in_hand_and_sends_nothing_twice(run):
    accepted(2000)
    worker = run("run_worker", "--channel", "email", SIMULATOR_LATENCY_MS="300")
    wait_until(DeliveryEvent.objects.exists)

    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=30) == 0

    assert not Delivery.objects.filter(status=Status.SENDING).exists()
    run("run_worker", "--channel", "email")
    wait_until(lambda: unfinished() == 0)
    assert DeliveryEvent.objects.filter(type=EventType.SENT).count() == 2000


@pytest.mark.parametrize("transport", ["database", pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)])
def test_a_killed_worker_loses_nothing(run, transport, request):
    more = {}
    if transport == "rabbitmq":
        more["BROKER_URL"] = request.getfixturevalue("broker_url")
        more["BROKER_PREFIX"] = f"{django_settings.BROKER_PREFIX}.kill.{os.getpid()}"
        run("run_relay", **more)
    accepted(1500)
    slow = run("run_worker", "--channel", "email", SIMULATOR_LATENCY_MS="30000", **more)
    wait_until(lambda: Delivery.objects.filter(status=Status.SENDING).exists())

    slow.kill()
    run("run_worker", "--channel", "email", **more)

    wait_until(lambda: unfinished() == 0, seconds=60)
    assert set(Delivery.objects.values_list("status", flat=True)) == {Status.SENT}
    assert DeliveryEvent.objects.filter(type=EventType.SENT).count() == 1500
    assert DeliveryEvent.objects.filter(type=EventType.RECLAIMED).count() >= 1


def test_several_processes_share_the_work(run):
    accepted(1000)
    parent = run("run_worker", "--channel", "email", "--processes", "2")
    wait_until(lambda: unfinished() == 0)

    parent.send_signal(signal.SIGTERM)

    assert parent.wait(timeout=40) == 0
    assert DeliveryEvent.objects.filter(type=EventType.SENT).count() == 1000


def test_maintenance_runs_every_task_and_stops(run):
    process = run("run_maintenance", "--once")

    assert process.wait(timeout=30) == 0
