"""From a rule to findings: its values are read and judged. Nothing is written."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog
from django.db import InterfaceError, OperationalError

from analytics.alerts import burn, wording
from analytics.alerts.choices import Condition
from analytics.alerts.look import Ask, Look
from analytics.alerts.machine import Reading
from analytics.alerts.metrics import METRICS, Sample
from analytics.alerts.models import AlertRule
from analytics.alerts.muting import Scope
from core.statements import StatementTooSlow, bounded

log = structlog.get_logger(__name__)

#: What one rule may cost PostgreSQL. A figure takes a few milliseconds; one that takes seconds is not worth it.
STATEMENT_MS = 3_000
#: Values of one rule. Channels and providers are a handful; a made-up name must not open alerts without end.
MAX_FINDINGS = 100


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule found out about one thing."""

    scope: Scope
    reading: Reading
    title: str
    summary: str
    brief: str


def judge(rule: AlertRule, look: Look) -> list[Finding] | None:
    """What the rule finds; None when it could not be read. Raises what PostgreSQL raises when it is away."""
    try:
        with bounded(STATEMENT_MS):
            samples = _samples(rule, look)
    except StatementTooSlow:
        log.warning("alerts.rule_too_slow", rule=rule.pk)
        return None
    except (OperationalError, InterfaceError):
        raise
    except Exception:  # a rule that cannot be read must not keep the others from being read
        log.exception("alerts.rule_failed", rule=rule.pk)
        return None
    return [_finding(rule, sample) for sample in samples[:MAX_FINDINGS]]


def _samples(rule: AlertRule, look: Look) -> Sequence[Sample]:
    read = METRICS[rule.metric]
    ask = Ask(rule.window, rule.split_by, rule.channel, rule.provider, rule.source, rule.priority)  # type: ignore[arg-type]  # one of SplitBy
    if rule.condition != Condition.BURN:
        return read(look, ask)
    return _burns(
        rule, read(look, ask), read(look, replace(ask, window=rule.short_window)) if rule.short_window else None
    )


def _burns(rule: AlertRule, long: Sequence[Sample], short: Sequence[Sample] | None) -> list[Sample]:
    """Burn rates of error shares. In a short window without traffic nothing burns."""
    objective = rule.objective or 0.0
    recent = None if short is None else {sample.scope: sample for sample in short}

    def of(sample: Sample | None) -> float | None:
        if sample is None or sample.value is None:
            return 0.0 if sample is None or sample.traffic == 0 else None
        return burn.rate(sample.value, objective)

    return [
        replace(sample, value=of(sample) if recent is None else burn.both(of(sample), of(recent.get(sample.scope))))
        for sample in long
    ]


def _finding(rule: AlertRule, sample: Sample) -> Finding:
    quiet = sample.traffic is not None and sample.traffic < max(rule.minimum_traffic, 1)
    return Finding(
        scope=sample.scope,
        reading=Reading.QUIET if quiet else rule.bounds.read(sample.value),
        title=wording.title(rule, sample.scope),
        summary=wording.summary(rule, sample),
        brief=wording.brief(rule, sample),
    )
