"""Alerts for Prometheus."""

from collections import Counter
from collections.abc import Iterable

from prometheus_client import Metric

from analytics.alerts.choices import Severity
from analytics.alerts.selectors import open_alerts
from core import metrics


def install() -> None:
    """Have the web process's /metrics tell them."""
    metrics.installation.add("alerts", firing)


def firing() -> Iterable[Metric]:
    """How many fire, and how many of those ask for somebody: not acknowledged, silenced or explained."""
    alerts = open_alerts()
    every, loud = Counter(one.severity for one in alerts), Counter(one.severity for one in alerts if one.is_loud)
    firing = metrics.gauge_family("alerts_firing", "Alerts that fire.", "severity")
    asking = metrics.gauge_family(
        "alerts_asking", "Alerts that fire and that nobody has taken on or muted.", "severity"
    )
    for severity in Severity.values:
        firing.add_metric([severity], every[severity])
        asking.add_metric([severity], loud[severity])
    return [firing, asking]
