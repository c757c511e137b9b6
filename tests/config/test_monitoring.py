"""The files for Grafana and Prometheus, held to the metrics there are: a panel of a metric that was renamed is empty,
and an alert of one never fires."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings
from django.urls import get_resolver
from django.utils.module_loading import import_string

import config.asgi  # everything that counts is imported by the web process, the commands or a setting
from analytics.management.commands import top as _top
from campaigns import runner as _runner
from config import processes
from core import metrics
from notifications import depths as _depths
from notifications import lanes, maintenance, registry, relay
from notifications.choices import EventType, Priority
from notifications.metrics import KINDS
from notifications.services.providers import State

ROOT = Path(__file__).resolve().parent.parent.parent
DEPLOY = ROOT / "deploy"
USED = (config.asgi, _top, _runner, _depths, maintenance, relay)
#: What Prometheus and its client library bring along.
FOREIGN = {"up", "process_cpu_seconds_total", "process_resident_memory_bytes"}
#: Labels that Prometheus adds, or that a histogram has.
ADDED = {"instance", "job", "le"}
#: Values that a label may be compared with; others are open.
VALUES = {
    "outcome": {*EventType.values, "queued", "reopened", "reclicked", "machine"},
    "state": set(State.values),
    "priority": set(Priority.values),
    "channel": set(lanes.CHANNELS),
    "kind": {*KINDS, "relay"},
    "result": {"done", "waits", "failed", "answered", "timeout", "crashed", "miscounted"},
}

SELECTOR = re.compile(r"\b([a-z_:][a-zA-Z0-9_:]*)\s*(?:\{([^}]*)\})?")
WORDS = {
    "sum", "max", "min", "by", "rate", "increase", "histogram_quantile", "topk", "absent", "and", "or", "on",
    "group_left", "unless", "avg", "count",
}  # fmt: skip


@cache
def known() -> dict[str, set[str]]:
    """Series -> the labels it has, of everything that a process or the installation tells."""
    for name in lanes.CHANNELS:
        registry.lane_worker(name)
    for path in settings.MAINTENANCE_TASKS:
        import_string(path)
    get_resolver().url_patterns  # noqa: B018  the views
    found: dict[str, set[str]] = {}
    for collector in metrics.registry._collector_to_names:
        if isinstance(collector, metrics._Metric):
            suffixes = ("_bucket", "_count", "_sum") if isinstance(collector, metrics.Histogram) else ("",)
            found |= {collector.name + suffix: set(collector.labels) for suffix in suffixes}
    families = [*metrics.installation.collect(), *(f for f in metrics.registry.collect() if f.type == "gauge")]
    found |= {family.name: set(getattr(family, "_labelnames", ())) for family in families}
    return found


def dashboard() -> dict[str, Any]:
    return json.loads((DEPLOY / "grafana" / "carillon.json").read_text())


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def expressions() -> Iterator[tuple[str, str]]:
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", []):
            yield f"panel {panel['title']}", target["expr"]
    for rule in rules():
        yield rule.get("alert") or rule["record"], rule["expr"]


def bare(expression: str) -> str:
    """Without texts, ranges and the labels of groupings."""
    expression = re.sub(r"\[[^\]]*\]", "", expression)
    return re.sub(r"\b(?:by|on|group_left|without)\s*\([^)]*\)", " ", expression)


def selectors(expression: str) -> Iterator[tuple[str, str]]:
    """Each series that an expression names, and what it asks of its labels."""
    return ((name, matchers) for name, matchers in SELECTOR.findall(bare(expression)) if name not in WORDS)


@pytest.mark.django_db
@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_every_series_exists_and_has_the_labels_it_is_asked_for(where: str, expression: str):
    series, recorded = known(), {rule["record"] for rule in rules() if "record" in rule}
    asked = list(selectors(expression))
    assert asked, "nothing is asked"
    labels = set(ADDED)
    for name, matchers in asked:
        assert name in series.keys() | FOREIGN | recorded, f"{where}: there is no {name}"
        has = series.get(name, {"channel"} if name in recorded else set()) | ADDED
        labels |= has
        for label, _, values in re.findall(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"', matchers):
            assert label in has, f"{where}: {name} has no {label}"
            wanted = set(values.split("|"))
            assert wanted <= VALUES.get(label, wanted) or ".." in values, f"{where}: {label} is never {wanted}"
    for grouped in re.findall(r"\b(?:by|on|group_left)\s*\(([^)]*)\)", expression):
        assert {one.strip() for one in grouped.split(",")} <= labels, f"{where}: groups by {grouped}"


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_every_expression_is_balanced(where: str, expression: str):
    open_, pairs = [], {")": "(", "]": "[", "}": "{"}
    for char in re.sub(r'"[^"]*"', "", expression):
        if char in pairs.values():
            open_.append(char)
        elif char in pairs:
            assert open_, where
            assert open_.pop() == pairs[char], where
    assert not open_, where


def test_every_alert_says_how_bad_it_is_and_where_the_runbook_stands():
    for rule in rules():
        if "record" in rule:
            continue
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert rule["annotations"]["summary"]
        if (runbook := rule["annotations"].get("runbook")) is not None:
            path, _, anchor = runbook.partition("#")
            headings = re.findall(r"^#+ (.*)$", (ROOT / path).read_text(), re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in anchors, runbook
    names = [rule.get("alert") for rule in rules() if "alert" in rule]
    assert len(names) == len(set(names))


def test_the_dashboard_lies_on_its_grid_and_asks_the_source_one_chooses():
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
        for target in panel.get("targets", []):
            assert target["datasource"]["uid"] == "${datasource}"


@pytest.mark.django_db
def test_every_metric_is_documented():
    told = set(re.findall(r"carillon_[a-z_]+", (ROOT / "docs" / "observability.md").read_text()))
    families = {re.sub(r"_(bucket|count|sum)$", "", name) for name in known() if name.startswith("carillon_")}
    assert families - told == set()


def test_prometheus_asks_as_many_ports_as_one_machine_has_processes(settings):
    settings.BROKER_URL = "amqp://broker"
    job = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yaml").read_text())["scrape_configs"][0]
    assert job["job_name"] == "carillon"  # the rules ask for it
    ports = [int(target.rpartition(":")[2]) for target in job["static_configs"][0]["targets"]]
    assert ports == list(range(ports[0], ports[0] + len(processes.everything("127.0.0.1", 8000))))
