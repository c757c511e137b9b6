"""The example for Kubernetes, as far as it can be held to the code without a cluster."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands, load_command_class
from django.db import connection
from django.urls import resolve
from django.utils import timezone

from config import processes
from core.ids import uuid7
from notifications.checks import MIN_TOKEN
from notifications.choices import Priority
from notifications.lanes import CHANNELS, LANES
from notifications.messaging import topology
from notifications.models import OutboxMessage
from tests.config.test_settings_documented import exemplified

FOLDER = Path(__file__).resolve().parent.parent.parent / "deploy" / "kubernetes"
AUTOSCALING = FOLDER / "autoscaling"


def documents(folder: Path = FOLDER) -> list[dict[str, Any]]:
    """Everything that the kustomization of a folder names."""
    [kustomization] = _parsed(folder / "kustomization.yaml")
    return [document for name in kustomization["resources"] for document in _parsed(folder / name)]


def _parsed(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text()))


def of_kind(kind: str, folder: Path = FOLDER) -> dict[str, dict[str, Any]]:
    return {one["metadata"]["name"]: one for one in documents(folder) if one["kind"] == kind}


def pods() -> dict[str, dict[str, Any]]:
    """The pod of each Deployment and Job."""
    made_of = of_kind("Deployment") | of_kind("Job")
    return {name: one["spec"]["template"]["spec"] for name, one in made_of.items()}


def containers() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, pod in pods().items():
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            yield name, container


def commands() -> list[list[str]]:
    return [container["command"] for _, container in containers() if "command" in container]


def config() -> dict[str, str]:
    data: dict[str, str] = of_kind("ConfigMap")["carillon"]["data"]
    return data


def test_every_manifest_is_named_by_a_kustomization():
    named = {
        name for folder in (FOLDER, AUTOSCALING) for name in _parsed(folder / "kustomization.yaml")[0]["resources"]
    }
    there = {path.name for path in FOLDER.rglob("*.yaml")}
    assert there - named == {"kustomization.yaml", "secret.example.yaml"}


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_exists_and_takes_its_arguments(command: list[str]):
    program, script, name, *arguments = command
    assert (program, script) == ("python", "manage.py")
    parser = load_command_class(str(get_commands()[name]), name).create_parser("manage.py", name)
    parser.parse_args(arguments)  # exits when it doesn't know them


def test_it_runs_everything_that_one_terminal_runs_and_urgent_workers_besides(settings):
    settings.BROKER_URL = "amqp://broker"
    expected = {name.replace("_", "-") for name in processes.everything("127.0.0.1", 8000)}
    urgent = {name for name in of_kind("Deployment") if name.endswith("-critical")}
    assert urgent
    assert set(of_kind("Deployment")) == expected | urgent


def test_every_channel_has_a_worker_for_every_lane():
    workers = [command[4:] for command in commands() if command[2] == "run_worker"]
    assert {channel for channel, *priorities in workers if not priorities} == set(CHANNELS)
    assert {tuple(priorities) for _, *priorities in workers} == {(), ("--priority", "critical")}


def test_its_settings_are_settings_and_texts():
    [secret] = _parsed(FOLDER / "secret.example.yaml")
    assert set(config()) | set(secret["stringData"]) <= exemplified()
    assert all(isinstance(value, str) for value in config().values())  # a ConfigMap takes nothing else
    assert {"SECRET_KEY", "DATABASE_URL", "REDIS_URL", "BROKER_URL", "METRICS_TOKEN"} == set(secret["stringData"])
    assert len(secret["stringData"]["METRICS_TOKEN"]) >= MIN_TOKEN


def test_no_secret_stands_in_it():
    [secret] = _parsed(FOLDER / "secret.example.yaml")
    assert all("change-me" in value for value in secret["stringData"].values())
    assert not of_kind("Secret")
    assert not {"SECRET_KEY", "DATABASE_URL", "REDIS_URL", "BROKER_URL", "METRICS_TOKEN"} & set(config())


@pytest.mark.parametrize(("name", "container"), list(containers()))
def test_every_container_takes_its_settings_and_is_contained(name: str, container: dict[str, Any]):
    assert [next(iter(source.values()))["name"] for source in container["envFrom"]] == ["carillon", "carillon"]
    assert container["image"] == "carillon"  # the tag is the kustomization's
    security = container["securityContext"]
    assert security["readOnlyRootFilesystem"] is True
    assert security["allowPrivilegeEscalation"] is False
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert container["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]
    assert container["resources"]["requests"]["memory"]
    assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize(("name", "pod"), pods().items())
def test_every_pod_runs_as_nobody_in_particular_and_has_time_to_drain(name: str, pod: dict[str, Any], settings):
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False  # they would be settings by accident: WEB_PORT, ...
    pauses = [c["lifecycle"]["preStop"]["exec"]["command"] for c in pod["containers"] if "lifecycle" in c]
    pause = sum(int(seconds) for _, seconds in pauses)
    drain = int(config()["DRAIN_SECONDS"])
    assert drain == settings.DRAIN_SECONDS
    assert pod["terminationGracePeriodSeconds"] > drain + pause + 5  # run_worker --processes waits five longer


@pytest.mark.parametrize(("name", "deployment"), of_kind("Deployment").items())
def test_every_deployment_waits_for_the_migrations_and_selects_its_own_pods(name: str, deployment: dict[str, Any]):
    spec = deployment["spec"]
    assert [one["command"][2:] for one in spec["template"]["spec"]["initContainers"]] == [["migrate", "--check"]]
    assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
    assert spec["selector"]["matchLabels"]["app.kubernetes.io/component"] == name


def test_what_has_several_pods_never_loses_all_of_them_to_a_drained_node():
    several = {name for name, one in of_kind("Deployment").items() if one["spec"]["replicas"] > 1}
    budgets = of_kind("PodDisruptionBudget")
    assert set(budgets) == several
    for name, budget in budgets.items():
        assert budget["spec"]["selector"]["matchLabels"]["app.kubernetes.io/component"] == name
        assert budget["spec"]["maxUnavailable"] == 1


@pytest.mark.parametrize(("name", "deployment"), of_kind("Deployment").items())
def test_prometheus_finds_the_metrics_of_every_pod(name: str, deployment: dict[str, Any]):
    found = deployment["spec"]["template"]["metadata"]["annotations"]
    assert found == {"prometheus.io/scrape": "true", "prometheus.io/port": config()["METRICS_PORT"]}


def test_the_web_process_is_probed_where_it_answers():
    [web] = pods()["web"]["containers"]
    assert "command" not in web  # the image's own
    paths = {}
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        ask = web[name]["httpGet"]
        paths[name] = ask["path"]
        assert resolve(ask["path"])
        [host] = ask["httpHeaders"]
        assert host["value"] in config()["ALLOWED_HOSTS"].split(",")
        assert ask["port"] == web["ports"][0]["name"]
    assert paths == {"startupProbe": "/readyz", "readinessProbe": "/readyz", "livenessProbe": "/healthz"}


def test_the_ingress_leads_to_the_web_process_and_refuses_the_bodies_that_it_refuses(settings):
    ingress, service = of_kind("Ingress")["web"], of_kind("Service")["web"]
    assert service["spec"]["selector"]["app.kubernetes.io/component"] == "web"
    assert service["spec"]["ports"][0]["targetPort"] == pods()["web"]["containers"][0]["ports"][0]["name"]
    [rule] = ingress["spec"]["rules"]
    assert rule["host"] in config()["ALLOWED_HOSTS"].split(",")
    assert f"https://{rule['host']}" == config()["PUBLIC_URL"]
    assert rule["http"]["paths"][0]["backend"]["service"]["name"] == "web"
    cap = ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-body-size"]
    assert cap == config()["API_MAX_BODY_BYTES"] == str(settings.API_MAX_BODY_BYTES)


def test_what_is_scaled_exists():
    scaled = of_kind("ScaledObject", AUTOSCALING) | of_kind("HorizontalPodAutoscaler", AUTOSCALING)
    assert {one["spec"]["scaleTargetRef"]["name"] for one in scaled.values()} <= set(of_kind("Deployment"))
    assert set(of_kind("ScaledObject", AUTOSCALING)) == {f"worker-{name.replace('_', '-')}" for name in CHANNELS}


def trigger(channel: str, kind: str) -> dict[str, Any]:
    scaled = of_kind("ScaledObject", AUTOSCALING)[f"worker-{channel.replace('_', '-')}"]
    [found] = [one for one in scaled["spec"]["triggers"] if one["type"] == kind]
    return found


@pytest.mark.parametrize("channel", CHANNELS)
def test_the_age_in_the_broker_is_that_of_the_channels_own_queues(channel: str, settings):
    settings.BROKER_PREFIX = config()["BROKER_PREFIX"]
    asked = trigger(channel, "rabbitmq")
    assert (asked["metricType"], asked["metadata"]["mode"]) == ("Value", "ExpectedQueueConsumptionTime")
    wanted = re.compile(asked["metadata"]["queueName"])
    everything = [topology.queue(*lane) for lane in LANES] + [topology.dead(), topology.malformed()]
    assert {name for name in everything if wanted.search(name)} == {
        topology.queue(channel, priority) for priority in Priority.values
    }


@pytest.mark.django_db
@pytest.mark.parametrize("channel", CHANNELS)
def test_the_age_in_the_outbox_is_that_of_the_oldest_due_row_of_the_channel(channel: str):
    # Given a row of each other channel that has waited long, and one of this that is for later
    now = timezone.now()
    for other in CHANNELS:
        due = now + timedelta(hours=1) if other == channel else now - timedelta(hours=1)
        OutboxMessage.objects.create(channel=other, priority="low", due_at=due, delivery_ids=[uuid7()])
    assert _age(channel) == 0

    # When two are due
    for priority, seconds in (("critical", 20), ("normal", 90)):
        due = now - timedelta(seconds=seconds)
        OutboxMessage.objects.create(channel=channel, priority=priority, due_at=due, delivery_ids=[uuid7()])

    # Then the age is the older one's
    assert 90 <= _age(channel) < 150


def _age(channel: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(trigger(channel, "postgresql")["metadata"]["query"])
        return int(cursor.fetchone()[0])
