"""The container image and the Compose file, as far as they can be held to the code without a container engine."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands, load_command_class

from config import processes
from notifications.lanes import CHANNELS
from tests.config.test_settings_documented import exemplified, knobs

ROOT = Path(__file__).resolve().parent.parent.parent
SERVERS = {"postgres", "redis", "rabbitmq"}


def compose() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def ours() -> dict[str, dict[str, Any]]:
    return {name: service for name, service in compose()["services"].items() if name not in SERVERS}


def commands() -> list[list[str]]:
    return [service["command"] for service in ours().values() if "command" in service]


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_exists_and_takes_its_arguments(command: list[str]):
    program, script, name, *arguments = command
    assert (program, script) == ("python", "manage.py")
    app = get_commands()[name]
    parser = load_command_class(str(app), name).create_parser("manage.py", name)
    parser.parse_args(arguments)  # exits when it doesn't know them


def test_it_runs_everything_that_one_terminal_runs(settings):
    # Given an installation with a broker
    settings.BROKER_URL = "amqp://broker"
    # Then each process has a service of its own, and migrations one besides
    expected = {name.replace("_", "-") for name in processes.everything("127.0.0.1", 8000)}
    assert set(ours()) == expected | {"migrate"}


def test_every_channel_has_a_worker():
    workers = [command[-1] for command in commands() if command[2] == "run_worker"]
    assert sorted(workers) == sorted(CHANNELS)


@pytest.mark.parametrize("name", [*sorted(SERVERS), "web"])
def test_what_others_wait_for_has_a_health_check(name: str):
    assert compose()["services"][name]["healthcheck"]["test"]


def test_services_wait_only_for_services_that_exist():
    services = compose()["services"]
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)


def test_its_settings_are_settings():
    known = {name for name, _, _ in knobs()}
    for service in ours().values():
        assert set(service["environment"]) <= known


def test_prometheus_finds_the_metrics_of_every_process_on_one_port():
    ports = {service["environment"]["METRICS_PORT"] for service in ours().values()}
    assert ports == {"9400"}
    assert "port: 9400" in (ROOT / "deploy" / "prometheus" / "prometheus.yaml").read_text()


def test_no_secret_stands_in_it_and_every_variable_is_in_the_example():
    variables = set(re.findall(r"\$\{([A-Z_]+)", (ROOT / "docker-compose.yml").read_text()))
    assert {"SECRET_KEY", "POSTGRES_PASSWORD", "RABBITMQ_PASSWORD"} <= variables <= exemplified()


def test_workers_have_longer_to_stop_than_they_take_to_drain(settings):
    for service in ours().values():
        assert int(service["stop_grace_period"].removesuffix("s")) > settings.DRAIN_SECONDS


def test_the_image_holds_every_package_and_runs_as_nobody_in_particular():
    kept = set(re.findall(r"^!(\S+)", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "benchmarks"}
    assert packages | {"manage.py", "requirements.txt", "templates"} == kept
    users = re.findall(r"^USER (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert users
    assert users[-1] not in {"root", "0"}
