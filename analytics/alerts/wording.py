"""What an alert says of itself."""

from collections.abc import Mapping
from datetime import timedelta

from analytics.alerts.choices import UNITS, Condition, Metric, Unit
from analytics.alerts.metrics import Sample
from analytics.alerts.models import AlertRule
from analytics.alerts.muting import Scope
from notifications.choices import Channel

#: What is the matter, by metric: {value} and {limit} in its unit, {of} its traffic, {window} the time looked back.
_SENTENCES: Mapping[str, str] = {
    Metric.DELIVERY_RATE: "{value} of {of} attempts got out within {window}. The limit is {limit}.",
    Metric.FAILURE_RATE: "{value} of {of} attempts did not get out within {window}. The limit is {limit}.",
    Metric.PROVIDER_ERRORS: "{value} of {of} answers within {window} were errors. The limit is {limit}.",
    Metric.BOUNCE_RATE: "{value} of {of} messages sent within {window} bounced. The limit is {limit}.",
    Metric.COMPLAINT_RATE: "{value} of {of} messages delivered within {window} drew complaints. The limit is {limit}.",
    Metric.RECEIPT_RATE: "{value} of {of} messages sent within {window} were heard of again. The limit is {limit}.",
    Metric.LATENCY_P50: "Half of {of} messages took {value} or more from acceptance to sending. The limit is {limit}.",
    Metric.LATENCY_P99: "1 in 100 of {of} messages took {value} or more to be sent. The limit is {limit}.",
    Metric.OLDEST_DUE: "The oldest message has waited {value}. The limit is {limit}.",
    Metric.OUTBOX_LAG: "The oldest due row of the outbox has waited {value}. The limit is {limit}.",
    Metric.EVENTS_LAG: "The oldest receipt, open or click has waited {value}. The limit is {limit}.",
    Metric.ACCEPTED: "{value} notifications came in within {window}, where {of} were to be expected.",
    Metric.SENT: "{value} messages were sent within {window}. The limit is {limit}.",
    Metric.FAILED: "{value} messages were refused for good within {window}. The limit is {limit}.",
    Metric.DEAD: "{value} messages were given up on within {window}. The limit is {limit}.",
    Metric.RESCUED: "{value} messages had to be put back within {window}: nothing would have sent them.",
    Metric.WORKERS: "{value} workers are alive, and {of} messages wait for one.",
    Metric.PROCESSES_MISSING: "Nothing of this kind is alive: {note}.",
}
_YES: Mapping[str, str] = {
    Metric.BREAKER_OPEN: "Its circuit is open: it failed too often or was too slow.",
    Metric.NOBODY_SERVES: "No provider of its chain takes messages: they wait.",
    Metric.REDIS_AWAY: "Redis does not answer: marketing waits, limits and breakers are each process's own.",
}
_NO: Mapping[str, str] = {
    Metric.BREAKER_OPEN: "Its circuit is closed.",
    Metric.NOBODY_SERVES: "It has a provider that takes messages.",
    Metric.REDIS_AWAY: "Redis answers.",
}


def title(rule: AlertRule, scope: Scope) -> str:
    """The rule's name and what it is about: "A circuit is open: simulated_email"."""
    about = scope.provider or (str(Channel(scope.channel).label) if scope.channel in Channel.values else scope.channel)
    return f"{rule.name}: {about}"[:160] if about else rule.name


def summary(rule: AlertRule, sample: Sample) -> str:
    """The value and what it is held against, in a sentence."""
    if UNITS[rule.metric] is Unit.YES_NO:
        return (_YES if sample.value else _NO)[rule.metric]
    if rule.condition == Condition.BURN:
        return _burn(rule, sample)
    words = {
        "value": quantity(sample.value, UNITS[rule.metric]),
        "limit": quantity(rule.threshold, UNITS[rule.metric]),
        "of": "–" if sample.traffic is None else f"{sample.traffic:,}",
        "window": duration(rule.window),
        "note": sample.note,
    }
    return _SENTENCES[rule.metric].format(**words)


def _burn(rule: AlertRule, sample: Sample) -> str:
    value = "–" if sample.value is None else f"{sample.value:.1f}"
    windows = duration(rule.window)
    if rule.short_window_seconds:
        windows += f" and over {duration(rule.short_window)}"
    return (
        f"The error budget of {quantity(1 - (rule.objective or 0), Unit.SHARE)} is used up {value} times too fast over"
        f" {windows}. The limit is {rule.threshold:g} times."
    )


def brief(rule: AlertRule, sample: Sample) -> str:
    """The value alone, for the list of rules."""
    unit = UNITS[rule.metric]
    if sample.value is None:
        return "unknown" if sample.traffic is None else "nothing to judge by"
    if unit is Unit.YES_NO:
        return "yes" if sample.value else "no"
    if rule.condition == Condition.BURN:
        return f"{sample.value:.1f} times"
    return quantity(sample.value, unit)


def quantity(value: float | None, unit: Unit) -> str:
    if value is None:
        return "–"
    if unit is Unit.SHARE:
        return f"{value:.1%}".replace(".0%", "%")
    if unit is Unit.SECONDS:
        return duration(timedelta(seconds=value))
    return f"{value:,.0f}"


def duration(span: timedelta) -> str:
    """0.4 s, 12 s, 5 min, 1 h 30 min, 3 d."""
    seconds = span.total_seconds()
    if seconds < 10:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    if seconds < 120 and seconds % 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{hours // 24} d"
