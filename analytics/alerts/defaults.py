"""The rules that come along. A migration installs them; what a team changes or switches off stays as they left it.

Numbers: a page for what people notice within minutes, a warning for what somebody should look at today. Windows and
waits are short where a state is looked at, and long where a share needs messages to mean something. Burn rates are
those of the SRE workbook, chapter 5: 14.4 times over an hour and 6 times over six hours page, once over three days
warns. The longer the window the more traffic it wants: where there are minutes of history alone, one short outage would
be most of six hours.
"""

from collections.abc import Mapping
from typing import Any

from analytics.alerts.choices import Condition, Metric, Severity, SplitBy

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
#: A provider that errs on 3 in 100 uses its budget up exactly; 43 in 100 for an hour is a page.
_OBJECTIVE = 0.97

#: key -> fields of AlertRule; `explained_by` names root causes by their keys.
RULES: Mapping[str, Mapping[str, Any]] = {
    "redis-away": {
        "name": "Redis does not answer",
        "severity": Severity.WARNING,
        "metric": Metric.REDIS_AWAY,
        "threshold": 1,
        "clear_threshold": 0,
        "for_seconds": 20,
        "clear_seconds": 20,
        "advice": "Transactional messages go on and marketing waits. Look at the Redis server and its memory.",
    },
    "no-workers": {
        "name": "No worker",
        "severity": Severity.CRITICAL,
        "metric": Metric.WORKERS,
        "split_by": SplitBy.CHANNEL,
        "condition": Condition.BELOW,
        "threshold": 1,
        "minimum_traffic": 1,
        "for_seconds": 20,
        "clear_seconds": 20,
        "advice": "Messages wait and nobody takes them. Start run_worker for this channel, and see why it ended.",
    },
    "nobody-serves": {
        "name": "No provider left",
        "severity": Severity.CRITICAL,
        "metric": Metric.NOBODY_SERVES,
        "split_by": SplitBy.CHANNEL,
        "threshold": 1,
        "clear_threshold": 0,
        "for_seconds": 0,
        "clear_seconds": 20,
        "advice": "Every provider of the channel is failing, paused or switched off; its messages wait and use no"
        " attempts. Ask the vendors, or add another provider to the chain.",
    },
    "breaker-open": {
        "name": "Circuit open",
        "severity": Severity.WARNING,
        "metric": Metric.BREAKER_OPEN,
        "split_by": SplitBy.PROVIDER,
        "threshold": 1,
        "clear_threshold": 0,
        "for_seconds": 0,
        "clear_seconds": 20,
        "explained_by": ["nobody-serves"],
        "advice": "The channel's next provider stands in. Look at the vendor's status page and at the error causes.",
    },
    "delivery-rate": {
        "name": "Too few messages get out",
        "severity": Severity.CRITICAL,
        "metric": Metric.DELIVERY_RATE,
        "split_by": SplitBy.CHANNEL,
        "condition": Condition.BELOW,
        "threshold": 0.9,
        "clear_threshold": 0.95,
        "window_seconds": 5 * _MINUTE,
        "minimum_traffic": 50,
        "for_seconds": _MINUTE,
        "clear_seconds": _MINUTE,
        "explained_by": ["nobody-serves", "breaker-open"],
        "advice": "Look at the error causes on the dashboard: refused content and bad settings don't open a circuit.",
    },
    "oldest-critical": {
        "name": "Critical messages wait",
        "severity": Severity.CRITICAL,
        "metric": Metric.OLDEST_DUE,
        "priority": "critical",
        "split_by": SplitBy.CHANNEL,
        "threshold": 30,
        "clear_threshold": 5,
        "for_seconds": 20,
        "clear_seconds": 30,
        "explained_by": ["no-workers", "nobody-serves", "outbox-lag"],
        "advice": "Security codes are late. Add workers for this channel, or see what holds them up.",
    },
    "oldest-due": {
        "name": "Messages wait too long",
        "severity": Severity.WARNING,
        "metric": Metric.OLDEST_DUE,
        "split_by": SplitBy.CHANNEL,
        "threshold": 5 * _MINUTE,
        "clear_threshold": _MINUTE,
        "for_seconds": _MINUTE,
        "clear_seconds": _MINUTE,
        "explained_by": ["no-workers", "nobody-serves", "outbox-lag", "oldest-critical"],
        "advice": "More comes in than is sent. Add workers, or look at the provider's limit and its slowness.",
    },
    "outbox-lag": {
        "name": "The outbox is not emptied",
        "severity": Severity.CRITICAL,
        "metric": Metric.OUTBOX_LAG,
        "threshold": 2 * _MINUTE,
        "clear_threshold": 10,
        "for_seconds": 30,
        "clear_seconds": 30,
        "explained_by": ["no-workers", "nobody-serves"],
        "advice": "With RabbitMQ: is run_relay alive, and does the broker answer or block? Without: are there workers?",
    },
    "dead-letters": {
        "name": "Messages were given up on",
        "severity": Severity.WARNING,
        "metric": Metric.DEAD,
        "split_by": SplitBy.CHANNEL,
        "window_seconds": 10 * _MINUTE,
        "threshold": 10,
        "clear_threshold": 0,
        "for_seconds": 0,
        "clear_seconds": _MINUTE,
        "advice": "They wait among the dead letters, grouped by cause, and can be replayed once the cause is gone.",
    },
    "slow": {
        "name": "Messages are slow",
        "severity": Severity.WARNING,
        "metric": Metric.LATENCY_P99,
        "split_by": SplitBy.CHANNEL,
        "window_seconds": 5 * _MINUTE,
        "threshold": _MINUTE,
        "clear_threshold": 30,
        "minimum_traffic": 100,
        "for_seconds": _MINUTE,
        "clear_seconds": 2 * _MINUTE,
        "explained_by": ["no-workers", "nobody-serves", "outbox-lag", "breaker-open", "oldest-due"],
        "advice": "Most of it is waiting: look at the age of the oldest, at retries and at the provider's answers.",
    },
    "errors-fast": {
        "name": "A provider errs much",
        "severity": Severity.CRITICAL,
        "metric": Metric.PROVIDER_ERRORS,
        "split_by": SplitBy.PROVIDER,
        "condition": Condition.BURN,
        "objective": _OBJECTIVE,
        "threshold": 14.4,
        "clear_threshold": 7,
        "window_seconds": _HOUR,
        "short_window_seconds": 5 * _MINUTE,
        "minimum_traffic": 100,
        "for_seconds": 30,
        "clear_seconds": _MINUTE,
        "explained_by": ["breaker-open", "nobody-serves"],
        "advice": "A month's error budget would be gone in two days. Ask the vendor, or switch the provider off.",
    },
    "errors-slow": {
        "name": "A provider keeps erring",
        "severity": Severity.CRITICAL,
        "metric": Metric.PROVIDER_ERRORS,
        "split_by": SplitBy.PROVIDER,
        "condition": Condition.BURN,
        "objective": _OBJECTIVE,
        "threshold": 6,
        "clear_threshold": 3,
        "window_seconds": 6 * _HOUR,
        "short_window_seconds": 30 * _MINUTE,
        "minimum_traffic": 2_000,
        "for_seconds": _MINUTE,
        "clear_seconds": 2 * _MINUTE,
        "explained_by": ["breaker-open", "nobody-serves", "errors-fast"],
        "advice": "A month's error budget would be gone in five days.",
    },
    "errors-budget": {
        "name": "A provider uses up its error budget",
        "severity": Severity.WARNING,
        "metric": Metric.PROVIDER_ERRORS,
        "split_by": SplitBy.PROVIDER,
        "condition": Condition.BURN,
        "objective": _OBJECTIVE,
        "threshold": 1,
        "clear_threshold": 0.8,
        "window_seconds": 3 * _DAY,
        "short_window_seconds": 6 * _HOUR,
        "minimum_traffic": 10_000,
        "for_seconds": 5 * _MINUTE,
        "clear_seconds": 10 * _MINUTE,
        "repeat_seconds": _DAY,
        "explained_by": ["errors-fast", "errors-slow"],
        "advice": "Nothing burns, but it errs more than was agreed. Take it up with the vendor.",
    },
    "bounces": {
        "name": "Many mails bounce",
        "severity": Severity.WARNING,
        "metric": Metric.BOUNCE_RATE,
        "channel": "email",
        "split_by": SplitBy.PROVIDER,
        "window_seconds": _HOUR,
        "threshold": 0.05,
        "clear_threshold": 0.03,
        "minimum_traffic": 200,
        "for_seconds": _MINUTE,
        "clear_seconds": 5 * _MINUTE,
        "repeat_seconds": _DAY,
        "advice": "Mailbox providers put senders with 5% of bounces on hold. Was an old list imported?",
    },
    "complaints": {
        "name": "Many mails are complained of",
        "severity": Severity.WARNING,
        "metric": Metric.COMPLAINT_RATE,
        "channel": "email",
        "window_seconds": _DAY,
        "threshold": 0.003,
        "clear_threshold": 0.001,
        "minimum_traffic": 1000,
        "for_seconds": _MINUTE,
        "clear_seconds": 10 * _MINUTE,
        "repeat_seconds": _DAY,
        "advice": "Gmail and Yahoo ask bulk senders to stay below 0.1% and refuse those above 0.3%. Stop the campaign"
        " that causes it.",
    },
    "no-receipts": {
        "name": "A provider reports nothing back",
        "severity": Severity.WARNING,
        "metric": Metric.RECEIPT_RATE,
        "split_by": SplitBy.PROVIDER,
        "condition": Condition.BELOW,
        "window_seconds": 15 * _MINUTE,
        "threshold": 0.01,
        "clear_threshold": 0.05,
        "minimum_traffic": 200,
        "for_seconds": 2 * _MINUTE,
        "clear_seconds": _MINUTE,
        "advice": "Its webhooks don't arrive: look at their address and secret, and whether run_events runs.",
    },
    "no-data": {
        "name": "Nothing comes in",
        "severity": Severity.WARNING,
        "metric": Metric.ACCEPTED,
        "condition": Condition.BELOW,
        "window_seconds": 15 * _MINUTE,
        "threshold": 1,
        "minimum_traffic": 50,
        "for_seconds": _MINUTE,
        "clear_seconds": 30,
        "advice": "At this hour something should. Is the API reachable, and do the services that call it run?",
    },
    "processes": {
        "name": "A process is missing",
        "severity": Severity.WARNING,
        "metric": Metric.PROCESSES_MISSING,
        "threshold": 1,
        "clear_threshold": 0,
        "for_seconds": 30,
        "clear_seconds": 20,
        "advice": "web: nobody can call the API. relay: nothing reaches RabbitMQ. events: receipts wait. campaigns:"
        " campaigns stand still.",
    },
    "events-lag": {
        "name": "Receipts wait too long",
        "severity": Severity.WARNING,
        "metric": Metric.EVENTS_LAG,
        "threshold": 2 * _MINUTE,
        "clear_threshold": 10,
        "for_seconds": 30,
        "clear_seconds": 30,
        "explained_by": ["processes"],
        "advice": "What providers and readers tell is kept, but not applied yet: bounces still get mail. Is run_events"
        " alive? Another one shares the work.",
    },
    "rescues": {
        "name": "Messages had to be put back",
        "severity": Severity.INFO,
        "metric": Metric.RESCUED,
        "window_seconds": 15 * _MINUTE,
        "threshold": 100,
        "clear_threshold": 0,
        "for_seconds": 0,
        "clear_seconds": _MINUTE,
        "repeat_seconds": 0,
        "advice": "Nothing would have sent them: a broker lost its queues, or a worker died.",
    },
}


def install(model: Any) -> int:
    """Add the rules that `model` (AlertRule, today's or a migration's) does not have; how many. Fields that the model
    does not know yet are left to a later migration."""
    known = {field.name for field in model._meta.get_fields()} - {"explained_by"}
    new = []
    for key, fields in RULES.items():
        values = {name: value for name, value in fields.items() if name in known}
        rule, is_new = model.objects.get_or_create(key=key, defaults=values)
        if is_new:
            new.append((rule, fields.get("explained_by", ())))
    for rule, causes in new:
        rule.explained_by.set(model.objects.filter(key__in=causes))
    return len(new)
