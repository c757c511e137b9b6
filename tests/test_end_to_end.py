"""The whole installation as processes of its own, over both transports: from an API call to each timeline."""

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from notifications import messaging
from notifications.choices import Channel
from tests import factories
from tests.servers import free_port, wait

ROOT = Path(__file__).resolve().parent.parent


class Installation:
    """`manage.py run_all` on this test's database."""

    def __init__(self, environment: dict[str, str], output: Path) -> None:
        self.port = free_port()
        self.output = output
        with output.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "run_all", "--port", str(self.port)],
                cwd=ROOT,
                env=environment,
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    def call(self, path: str, token: str, body: object = None) -> tuple[int, dict]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def is_up(self) -> bool:
        try:
            return self.call("/readyz", "")[0] == 200
        except OSError:
            return False

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(40)


@pytest.fixture(params=["database", pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)])
def installation(
    request: pytest.FixtureRequest, process_env: dict[str, str], settings, tmp_path: Path
) -> Iterator[Installation]:
    environment = {**process_env, "SIMULATOR_SUCCESS_RATE": "1", "SIMULATOR_TEMPORARY_RATE": "0"}
    environment |= {"SIMULATOR_INVALID_RATE": "0", "SIMULATOR_BOUNCE_RATE": "0", "SIMULATOR_RECEIPT_DELAY_MS": "100"}
    environment |= {"LOG_LEVEL": "WARNING", "LOG_JSON": "0"}
    if request.param == "rabbitmq":
        settings.BROKER_URL = environment["BROKER_URL"] = request.getfixturevalue("broker_url")
        settings.BROKER_PREFIX = environment["BROKER_PREFIX"] = f"{settings.BROKER_PREFIX}.whole"
    found = Installation(environment, tmp_path / "output")
    assert wait(lambda: found.is_up() or found.process.poll() is not None, 40), found.output.read_text()
    yield found
    if found.process.poll() is None:
        found.stop()
    if request.param == "rabbitmq":
        messaging.delete_topology()


def until(condition: Callable[[], bool], told: Callable[[], object]) -> None:
    assert wait(condition, 30), told()


def test_a_notification_reaches_every_channel_and_its_receipts_come_back(installation: Installation):
    # Given someone with everything, a template and a key
    person = factories.recipient("user-42")
    factories.category("orders")
    factories.template("order-shipped")
    _, token = factories.api_key()

    # When a service sends one notification
    status, accepted = installation.call(
        "/api/v1/notifications/",
        token,
        {
            "recipient": person.external_id,
            "category": "orders",
            "template": "order-shipped",
            "data": {"order": "A-1001"},
        },
    )
    assert status == 202

    # Then each channel sends it, and the simulated providers' receipts say that it was delivered
    def deliveries() -> dict[str, str]:
        _, found = installation.call(accepted["url"], token)
        return {each["channel"]: each["status"] for each in found["deliveries"]}

    expected = dict.fromkeys(Channel.values, "delivered") | {"in_app": "sent"}
    until(lambda: deliveries() == expected, lambda: (deliveries(), installation.output.read_text()))

    # And the whole installation stops when told, with 0
    assert installation.stop() == 0
    assert "killed" not in installation.output.read_text()
