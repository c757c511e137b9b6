"""Rules that are looked at when a test says so, at a time that it says, with figures that it makes up."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from analytics.alerts import evaluator
from analytics.alerts.choices import Metric
from analytics.alerts.look import Ask, Look
from analytics.alerts.metrics import METRICS, Sample
from analytics.alerts.models import Alert, AlertRoute, AlertRule
from analytics.alerts.muting import Scope

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)


class Clock:
    """Evaluates at a moment of its own; figures stay as they were set until they are set anew."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = NOON
        self.samples: dict[str, Sequence[Sample]] = {}
        for metric in METRICS:
            monkeypatch.setitem(METRICS, metric, self._reader(metric))  # type: ignore[arg-type]  # a dict

    def _reader(self, metric: str) -> Any:
        def read(look: Look, ask: Ask) -> list[Sample]:
            return [
                sample
                for sample in self.samples.get(metric, ())
                if ask.channel in {"", sample.scope.channel} and ask.provider in {"", sample.scope.provider}
            ]

        return read

    def set(self, metric: str, value: float | None, scope: Scope = Scope(), *, traffic: int | None = None) -> None:  # noqa: B008  frozen
        """From now on this is the metric's one value."""
        self.samples[metric] = [Sample(scope, value, traffic)]

    def look(self, *, after: float = 10) -> bool:
        """Time passes, and all rules are looked at."""
        self.now += timedelta(seconds=after)
        return evaluator.evaluate(Look(self.now))

    def looks(self, n: int) -> None:
        for _ in range(n):
            self.look()


@pytest.fixture
def clock(db: None, monkeypatch: pytest.MonkeyPatch) -> Clock:
    AlertRule.objects.all().delete()
    return Clock(monkeypatch)


def rule(metric: str = Metric.DEAD, **fields: Any) -> AlertRule:
    """Opens at 10 or more after 20 s, clears at 5 or less after 20 s."""
    given = {
        "name": fields.pop("name", f"{metric} rule"),
        "severity": "critical",
        "threshold": 10,
        "clear_threshold": 5,
        "for_seconds": 20,
        "clear_seconds": 20,
        **fields,
    }
    return AlertRule.objects.create(metric=metric, **given)


def route(name: str = "on call", **fields: Any) -> AlertRoute:
    given = {"kind": "webhook", "target": "https://example.com/hook", "receives": "info", "wait_seconds": 0, **fields}
    return AlertRoute.objects.create(name=name, **given)


def open_titles() -> list[str]:
    return [alert.title for alert in Alert.objects.filter(resolved_at=None, phase="firing").order_by("title")]
