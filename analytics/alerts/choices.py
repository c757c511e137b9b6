"""The words of alerting: what is measured, how it is judged, what happens to an alert, how people are told."""

from collections.abc import Mapping
from enum import StrEnum

from django.db.models import TextChoices


class Metric(TextChoices):
    """What a rule looks at; `analytics.alerts.metrics` knows how each is read."""

    DELIVERY_RATE = "delivery_rate", "Attempts that got out, share"
    FAILURE_RATE = "failure_rate", "Attempts that did not get out, share"
    PROVIDER_ERRORS = "provider_errors", "A provider's own errors, share of its answers"
    BOUNCE_RATE = "bounce_rate", "Bounced, share of what was sent"
    COMPLAINT_RATE = "complaint_rate", "Complaints, share of what was delivered"
    RECEIPT_RATE = "receipt_rate", "Heard of again, share of what was sent"
    LATENCY_P50 = "latency_p50", "Accepted to sent, half of the messages"
    LATENCY_P99 = "latency_p99", "Accepted to sent, 99 of 100 messages"
    OLDEST_DUE = "oldest_due", "Age of the oldest message that waits"
    OUTBOX_LAG = "outbox_lag", "Age of the oldest due row of the outbox"
    EVENTS_LAG = "events_lag", "Age of the oldest receipt, open or click that waits"
    ACCEPTED = "accepted", "Notifications accepted"
    SENT = "sent", "Messages sent"
    FAILED = "failed", "Messages refused for good"
    DEAD = "dead", "Messages given up on"
    RESCUED = "rescued", "Messages that the reconciler had to put back"
    BREAKER_OPEN = "breaker_open", "A provider's circuit is open"
    NOBODY_SERVES = "nobody_serves", "A channel has no provider that works"
    WORKERS = "workers", "Workers alive"
    PROCESSES_MISSING = "processes_missing", "Kinds of processes of which none is alive"
    REDIS_AWAY = "redis_away", "Redis does not answer"


class Unit(StrEnum):
    """How a metric's value is said."""

    SHARE = "share"
    SECONDS = "seconds"
    COUNT = "count"
    YES_NO = "yes_no"


UNITS: Mapping[str, Unit] = {
    Metric.DELIVERY_RATE: Unit.SHARE,
    Metric.FAILURE_RATE: Unit.SHARE,
    Metric.PROVIDER_ERRORS: Unit.SHARE,
    Metric.BOUNCE_RATE: Unit.SHARE,
    Metric.COMPLAINT_RATE: Unit.SHARE,
    Metric.RECEIPT_RATE: Unit.SHARE,
    Metric.LATENCY_P50: Unit.SECONDS,
    Metric.LATENCY_P99: Unit.SECONDS,
    Metric.OLDEST_DUE: Unit.SECONDS,
    Metric.OUTBOX_LAG: Unit.SECONDS,
    Metric.EVENTS_LAG: Unit.SECONDS,
    Metric.ACCEPTED: Unit.COUNT,
    Metric.SENT: Unit.COUNT,
    Metric.FAILED: Unit.COUNT,
    Metric.DEAD: Unit.COUNT,
    Metric.RESCUED: Unit.COUNT,
    Metric.BREAKER_OPEN: Unit.YES_NO,
    Metric.NOBODY_SERVES: Unit.YES_NO,
    Metric.WORKERS: Unit.COUNT,
    Metric.PROCESSES_MISSING: Unit.COUNT,
    Metric.REDIS_AWAY: Unit.YES_NO,
}
#: Shares of what went wrong: an error budget can be burnt by these alone.
BURNABLE = frozenset({Metric.FAILURE_RATE, Metric.PROVIDER_ERRORS, Metric.BOUNCE_RATE, Metric.COMPLAINT_RATE})


class Condition(TextChoices):
    """When a value is bad."""

    ABOVE = "above", "At or above the threshold"
    BELOW = "below", "Below the threshold"
    BURN = "burn", "Burns its error budget this many times too fast"


class Severity(TextChoices):
    CRITICAL = "critical", "Critical"
    WARNING = "warning", "Warning"
    INFO = "info", "Info"


#: The most severe first.
SEVERITY_ORDER: Mapping[str, int] = {Severity.CRITICAL: 0, Severity.WARNING: 1, Severity.INFO: 2}


class SplitBy(TextChoices):
    """What a rule opens an alert of its own for."""

    NOTHING = "", "Nothing: one alert for all"
    CHANNEL = "channel", "Each channel"
    PROVIDER = "provider", "Each provider"


class Phase(TextChoices):
    PENDING = "pending", "Pending"
    FIRING = "firing", "Firing"
    RESOLVED = "resolved", "Resolved"


class Happening(TextChoices):
    """A line of an alert's history."""

    OPENED = "opened", "Opened"
    REMINDED = "reminded", "Still there"
    RESOLVED = "resolved", "Resolved"
    ACKNOWLEDGED = "acknowledged", "Acknowledged"
    SILENCED = "silenced", "Silenced"
    UNSILENCED = "unsilenced", "No longer silenced"
    INHIBITED = "inhibited", "Explained by another alert"
    UNINHIBITED = "uninhibited", "No longer explained by another alert"


class RouteKind(TextChoices):
    EMAIL = "email", "Email"
    WEBHOOK = "webhook", "Webhook, signed"
    SLACK = "slack", "Slack, Mattermost and the like"
    IN_APP = "in_app", "In-app feed"


class Receives(TextChoices):
    """Which alerts a route is told of."""

    ALL = "info", "All"
    WARNINGS = "warning", "Warnings and critical ones"
    CRITICAL = "critical", "Critical ones alone"
    NOTHING = "nothing", "None by itself: it is a rule's own route, or stands in for another"


class GroupBy(TextChoices):
    """What goes into one message of a route."""

    ALL = "all", "Everything that happens within the wait"
    RULE = "rule", "Alerts of one rule"
    CHANNEL = "channel", "Alerts of one channel"
    NONE = "none", "Each alert by itself"


class MessageState(TextChoices):
    WAITING = "waiting", "Waiting"
    SENT = "sent", "Sent"
    FAILED = "failed", "Failed"
    HANDED_OVER = "handed_over", "Failed, the second route was told"
