"""`bin/run` from a fresh checkout, as a newcomer meets it: start, paste the curl line, stop, start again."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.servers import free_port, wait

ROOT = Path(__file__).resolve().parent.parent.parent
CHANNELS = {"push", "email", "sms", "in_app"}


class Demo:
    """One `bin/run` in a checkout of its own, without any server named."""

    def __init__(self, checkout: Path, port: int) -> None:
        self.checkout, self.port = checkout, port
        self.url = f"http://127.0.0.1:{port}"
        self.output = checkout / "output"
        named = ("DATABASE_URL", "REDIS_URL", "BROKER_URL", "SECRET_KEY", "PUBLIC_URL", "PORT", "DEMO")
        environment = {name: value for name, value in os.environ.items() if name not in named}
        environment["DJANGO_SETTINGS_MODULE"] = "config.settings"
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                ["bin/run", "--port", str(port)], cwd=checkout, env=environment, stdout=output, stderr=subprocess.STDOUT
            )

    def said(self) -> str:
        return self.output.read_text()

    def status(self, path: str) -> int:
        try:
            with urllib.request.urlopen(self.url + path, timeout=10) as response:
                return int(response.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def curl_line(self) -> str:
        found = re.search(r"^curl .*?'$(?<=}')", self.said(), re.MULTILINE | re.DOTALL)
        assert found, self.said()
        return found[0]

    def get(self, path: str) -> dict:
        key = (self.checkout / ".carillon" / "api_key").read_text()
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {key}"})
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)

    def wait_until_up(self) -> None:
        assert wait(lambda: self.status("/readyz") == 200 or self.process.poll() is not None, 180), self.said()
        assert self.process.poll() is None, self.said()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(30)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What git tracks, and the environment that is running us in place of one installed anew."""
    if not (ROOT / ".venv" / "installed-demo").exists():
        pytest.skip("The environment was not made by bin/run or bin/test.")
    there = tmp_path / "checkout"
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True)
    for name in listed.stdout.decode().splitlines():
        if (ROOT / name).is_file():
            (there / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, there / name)
    (there / ".venv").symlink_to(ROOT / ".venv")
    return there


@pytest.fixture
def start(checkout: Path) -> Iterator[Callable[[int], Demo]]:
    demos: list[Demo] = []

    def go(port: int) -> Demo:
        demos.append(Demo(checkout, port))
        return demos[-1]

    yield go
    for demo in demos:
        if demo.process.poll() is None:
            demo.process.terminate()
            demo.process.wait(30)


def left_over(checkout: Path) -> list[str]:
    """Processes that still belong to a checkout."""
    lines = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    return [line for line in lines if str(checkout) in line]


def test_the_printed_curl_line_reaches_every_channel(start, checkout):
    # Given a demo that is up
    demo = start(free_port())
    demo.wait_until_up()

    # When the printed line is pasted as it is
    answer = subprocess.run(demo.curl_line(), shell=True, capture_output=True, text=True, check=True).stdout

    # Then the notification is accepted, and every channel has sent it within seconds
    assert "202 Accepted" in answer
    url = json.loads(answer.splitlines()[-1])["url"]

    def everywhere() -> bool:
        deliveries = demo.get(url)["deliveries"]
        done = {each["channel"] for each in deliveries if each["status"] in {"sent", "delivered"}}
        return done == CHANNELS

    assert wait(everywhere, 20), demo.get(url)
    assert demo.status("/inbox/") == 200

    # And Ctrl-C ends everything cleanly, the servers too
    assert demo.stop() == 0
    assert left_over(checkout) == []
    assert not (checkout / ".carillon" / "servers.json").exists()


def test_a_second_start_keeps_data_and_key(start, checkout):
    # Given a demo that ran before
    first = start(free_port())
    first.wait_until_up()
    line = first.curl_line().replace(str(first.port), "PORT")
    first.stop()

    # When it starts again
    second = start(free_port())
    second.wait_until_up()

    # Then it knows its key, and has the same data
    assert second.curl_line().replace(str(second.port), "PORT") == line
    assert second.get("/api/v1/notifications/")["results"] == []
    recipients = manage(checkout, "shell", "-v0", "-c", COUNT).stdout
    assert recipients.strip() == "10000"


COUNT = "from preferences.models import Recipient; print(Recipient.objects.count())"


def manage(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A second terminal: nothing is set there."""
    named = ("DATABASE_URL", "REDIS_URL", "BROKER_URL", "SECRET_KEY", "REDIS_PREFIX", "BROKER_PREFIX")
    environment = {name: value for name, value in os.environ.items() if name not in named}
    environment["DJANGO_SETTINGS_MODULE"] = "config.settings"
    return subprocess.run(
        [".venv/bin/python", "manage.py", *arguments],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_second_terminal_joins_while_it_runs_and_is_told_when_it_does_not(start, checkout):
    demo = start(free_port())
    demo.wait_until_up()
    assert manage(checkout, "create_api_key", "second").stdout.startswith("ck_live_")

    # When it is killed, so that its note stays behind
    demo.process.kill()
    demo.process.wait()
    wait(lambda: demo.status("/healthz") == 0, 10)

    # Then the stale note is not believed
    told = manage(checkout, "create_api_key", "third")
    assert told.returncode != 0
    assert "is not set" in told.stderr
    assert "Traceback" not in told.stderr

    # And the next start gets over what the crash left
    again = start(free_port())
    again.wait_until_up()
    assert again.stop() == 0
    assert left_over(checkout) == []


def test_a_taken_port_is_told_with_another_choice(start):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        demo = start(port)
        assert demo.process.wait(30) == 1
    assert f"Port {port} is taken" in demo.said()
    assert f"--port {port + 1}" in demo.said()
    assert "Traceback" not in demo.said()


@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL", "BROKER_URL"])
def test_a_server_that_does_not_answer_is_named(start, monkeypatch, name, checkout):
    # Given a URL at which nobody listens
    port = free_port()
    scheme = {"DATABASE_URL": "postgres", "REDIS_URL": "redis", "BROKER_URL": "amqp"}[name]
    environment = {**os.environ, "BROKER_URL": "", name: f"{scheme}://nobody@127.0.0.1:{port}/x"}
    if name == "REDIS_URL":
        environment[name] = f"redis://127.0.0.1:{port}/0"
    # When the demo is started with it
    told = subprocess.run(
        ["bin/run", "--port", str(free_port())],
        cwd=checkout,
        env={**environment, "DJANGO_SETTINGS_MODULE": "config.settings"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    # Then it says which, and what to do
    assert told.returncode == 1
    assert name in told.stderr
    assert str(port) in told.stderr
    assert "unset it" in told.stderr
    assert "Traceback" not in told.stderr
