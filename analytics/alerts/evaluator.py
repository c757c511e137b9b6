"""Looks at every rule, moves the alerts on, and writes down who is to be told. Sends nothing itself.

Any number of evaluators may run: one at a time has the turn, by an advisory lock that ends with its transaction, and
the database keeps one open alert per fingerprint. Figures are read before the turn, so that nobody waits for them.
Redis and RabbitMQ are not needed; without PostgreSQL there is neither a figure nor an alert, and the heartbeat stops.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

import structlog
from django.db import connection, transaction

from analytics.alerts import heartbeat, telling
from analytics.alerts.choices import Happening, Phase
from analytics.alerts.judging import Finding, judge
from analytics.alerts.look import Look
from analytics.alerts.machine import Move, Reading, State, step
from analytics.alerts.models import Alert, AlertEvent, AlertRule
from core.moments import database_now

log = structlog.get_logger(__name__)

#: The advisory lock of the turn ("Alrt").
LOCK = 0x416C7274
#: Readings, the most noteworthy first: what the list of rules shows of several.
_NOTEWORTHY = (Reading.BAD, Reading.BETWEEN, Reading.UNKNOWN, Reading.GOOD, Reading.QUIET)


def run() -> None:
    """One evaluation, as `run_maintenance` asks for it."""
    if evaluate():
        heartbeat.evaluated()


def evaluate(look: Look | None = None) -> bool:
    """Look at all rules and write down what follows. False when another evaluator had the turn: then nothing was
    written."""
    rules = list(AlertRule.objects.filter(is_on=True).prefetch_related("explained_by", "routes"))
    look = look or Look(database_now())
    findings = {rule.pk: judge(rule, look) for rule in rules}
    with transaction.atomic():
        if not _has_turn():
            return False
        turn = Turn(look.now)
        for rule in rules:
            turn.follow(rule, findings[rule.pk])
        turn.end_orphans(rules)
        AlertEvent.objects.bulk_create(turn.events)
        telling.tell(rules, turn.alerts, turn.events, look.now)
        AlertRule.objects.bulk_update(rules, ["seen_at", "standing", "seen"])
    for event in turn.events:
        log.warning("alerts.changed", alert=event.alert_id, what=event.what, title=event.alert.title)
    return True


def _has_turn() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
        return bool(cursor.fetchone()[0])


class Turn:
    """The alerts as they are moved on in one evaluation, inside its transaction."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.open = {alert.fingerprint: alert for alert in Alert.objects.select_for_update().filter(resolved_at=None)}
        #: Alerts that are open or were resolved in this turn.
        self.alerts: list[Alert] = []
        self.events: list[AlertEvent] = []

    def follow(self, rule: AlertRule, findings: Sequence[Finding] | None) -> None:
        """Move a rule's alerts on by what it found. One that is not spoken of any more had nothing bad happen to it."""
        self._note(rule, findings)
        spoken_of = {f"{rule.pk}:{one.scope.channel}:{one.scope.provider}": one for one in findings or ()}
        for fingerprint, finding in spoken_of.items():
            self._move(rule, fingerprint, self.open.pop(fingerprint, None), finding)
        left = [fingerprint for fingerprint, alert in self.open.items() if alert.rule_id == rule.pk]
        for fingerprint in left:
            alert = self.open.pop(fingerprint)
            reading = Reading.UNKNOWN if findings is None else Reading.QUIET
            self._move(
                rule, fingerprint, alert, Finding(alert.scope, reading, alert.title, "Nothing to see of it.", "")
            )

    def end_orphans(self, rules: Iterable[AlertRule]) -> None:
        """Alerts whose rule is off or gone: nobody looks at them any more."""
        ids = {rule.pk for rule in rules}
        for alert in self.open.values():
            if alert.rule_id in ids:
                continue
            if alert.phase == Phase.PENDING:
                alert.delete()
            else:
                self._resolve(alert, "Its rule was switched off.")

    def _move(self, rule: AlertRule, fingerprint: str, alert: Alert | None, finding: Finding) -> None:
        before = None if alert is None else State(Phase(alert.phase), alert.since, alert.seen_at, alert.good_since)
        state, move = step(before, finding.reading, self.now, rule.pace)
        if alert is None:
            if state is None:
                return
            alert = Alert(
                rule=rule, fingerprint=fingerprint, channel=finding.scope.channel, provider=finding.scope.provider
            )
        if move is Move.WITHDREW:
            alert.delete()
            return
        alert.title, alert.severity = finding.title, rule.severity
        if move is Move.RESOLVED:
            self._resolve(alert, finding.summary)
        elif state is not None:
            self._keep(alert, state, finding, opened=move is Move.OPENED)

    def _keep(self, alert: Alert, state: State, finding: Finding, *, opened: bool) -> None:
        alert.phase, alert.since = state.phase, state.since
        alert.seen_at, alert.good_since = state.seen_at, state.good_since
        if finding.reading in {Reading.BAD, Reading.BETWEEN}:
            alert.summary = finding.summary[:300]
        if opened:
            alert.opened_at = self.now
        self._save(alert)
        if opened:
            self._tell(alert, Happening.OPENED, finding.summary)

    def _resolve(self, alert: Alert, note: str) -> None:
        alert.phase, alert.resolved_at, alert.seen_at = Phase.RESOLVED, self.now, self.now
        self._save(alert)
        self._tell(alert, Happening.RESOLVED, note)

    def _save(self, alert: Alert) -> None:
        """Not what people write, an acknowledgement: it may have come since."""
        if alert._state.adding:
            alert.save(force_insert=True)
        else:
            alert.save(update_fields=_MOVED)
        self.alerts.append(alert)

    def _tell(self, alert: Alert, what: Happening, note: str) -> None:
        self.events.append(AlertEvent(alert=alert, at=self.now, what=what, note=note[:300]))

    def _note(self, rule: AlertRule, findings: Sequence[Finding] | None) -> None:
        """What the list of rules shows."""
        rule.seen_at = self.now
        if findings is None:
            rule.standing, rule.seen = Reading.UNKNOWN.value, "could not be read"
            return
        worst = min(findings, key=lambda one: _NOTEWORTHY.index(one.reading), default=None)
        rule.standing = worst.reading.value if worst else Reading.QUIET.value
        about = (worst.scope.provider or worst.scope.channel) if worst else ""
        rule.seen = (f"{about}: " if about else "") + (worst.brief if worst else "nothing to judge by")
        rule.seen = rule.seen[:80]


_MOVED = ["title", "severity", "phase", "summary", "since", "seen_at", "good_since", "opened_at", "resolved_at"]
