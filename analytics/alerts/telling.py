"""Who is told of what: mutes alerts, and puts what people are to learn into messages for routes. Within the turn."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from django.db.models import Q

from analytics.alerts.choices import SEVERITY_ORDER, GroupBy, Happening, MessageState, Receives
from analytics.alerts.models import Alert, AlertEvent, AlertMessage, AlertRoute, AlertRule, Silence
from analytics.alerts.muting import Cause, Quiet, cause_of, silence_of

#: Alerts that ended lately and may still explain one that fires.
MAX_CAUSES = 500


def tell(rules: Sequence[AlertRule], alerts: Sequence[Alert], events: list[AlertEvent], now: datetime) -> None:
    """Mute and tell. `alerts` are those open or resolved in this turn, `events` what happened to them; both are
    written already, and what happens here is added to them."""
    by_id = {rule.pk: rule for rule in rules}
    firing = [alert for alert in alerts if alert.is_firing]
    opened = {event.alert_id: event for event in events if event.what == Happening.OPENED}
    resolved = {event.alert_id: event for event in events if event.what == Happening.RESOLVED}
    events += _mute(firing, by_id, now)
    post = _Post(now)
    for alert in firing:
        rule = by_id[alert.rule_id or 0]
        if (event := _due(alert, rule, opened, now)) and post.put(alert, rule, event):
            alert.told_at = now
            alert.save(update_fields=["told_at"])
            if event.what == Happening.REMINDED:
                events.append(event)
    for alert in alerts:
        if alert.pk in resolved and alert.told_at is not None:
            post.put(alert, by_id.get(alert.rule_id or 0), resolved[alert.pk])
    post.close()


def _due(alert: Alert, rule: AlertRule, opened: Mapping[int, AlertEvent], now: datetime) -> AlertEvent | None:
    """What people are to be told of an alert that fires: that it opened, once, and later that it is still there."""
    if alert.silence_id or alert.explained_by_id or alert.acknowledged_at:
        return None
    if alert.told_at is None:
        found = opened.get(alert.pk) or alert.events.filter(what=Happening.OPENED).first()
        return found or AlertEvent(alert=alert, at=now, what=Happening.OPENED, note=alert.summary)
    if rule.repeat_seconds and now - alert.told_at >= timedelta(seconds=rule.repeat_seconds):
        return AlertEvent(alert=alert, at=now, what=Happening.REMINDED, note=alert.summary)
    return None


# --- muting -------------------------------------------------------------------------------------------------------


def _mute(firing: Sequence[Alert], rules: Mapping[int, AlertRule], now: datetime) -> list[AlertEvent]:
    """Note which alerts another explains or a silence covers; what changed, as events."""
    causes = _causes(firing, rules, now)
    silences = [
        Quiet(silence.pk, silence.rule_id, silence.scope)
        for silence in Silence.objects.filter(starts_at__lte=now, ends_at__gt=now)
    ]
    titles = {cause.alert_id: title for cause, title in causes}
    events: list[AlertEvent] = []
    for alert in firing:
        rule = rules[alert.rule_id or 0]
        cause = cause_of(
            alert.scope,
            [one.pk for one in rule.explained_by.all()],
            [one for one, _ in causes if one.alert_id != alert.pk],
            now=now,
            memory=rule.short_window or rule.window,
        )
        silence = silence_of(rule.pk, alert.scope, silences)
        events += _changes(alert, cause, silence, titles, now)
    return AlertEvent.objects.bulk_create(events)


def _causes(firing: Sequence[Alert], rules: Mapping[int, AlertRule], now: datetime) -> list[tuple[Cause, str]]:
    found = [(Cause(alert.pk, alert.rule_id or 0, alert.scope), alert.title) for alert in firing]
    explained = [rules[alert.rule_id or 0] for alert in firing]
    memory = max((one.short_window or one.window for one in explained if one.explained_by.all()), default=None)
    if memory is not None:
        ended = Alert.objects.filter(resolved_at__gte=now - memory, rule__isnull=False).order_by("-resolved_at")
        found += [
            (Cause(alert.pk, alert.rule_id or 0, alert.scope, alert.resolved_at), alert.title)
            for alert in ended[:MAX_CAUSES]
        ]
    return found


def _changes(
    alert: Alert, cause: int | None, silence: int | None, titles: Mapping[int, str], now: datetime
) -> list[AlertEvent]:
    events = []
    if (cause is None) != (alert.explained_by_id is None):
        what = Happening.UNINHIBITED if cause is None else Happening.INHIBITED
        events.append(AlertEvent(alert=alert, at=now, what=what, note=titles.get(cause or 0, "")))
    if (silence is None) != (alert.silence_id is None):
        events.append(
            AlertEvent(alert=alert, at=now, what=Happening.UNSILENCED if silence is None else Happening.SILENCED)
        )
    if (cause, silence) != (alert.explained_by_id, alert.silence_id):
        alert.explained_by_id, alert.silence_id = cause, silence
        alert.save(update_fields=["explained_by", "silence"])
    return events


# --- messages -----------------------------------------------------------------------------------------------------


class _Post:
    """Puts events into messages: one that waits for the same route and group takes them in, or a new one is made."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.routes = list(AlertRoute.objects.filter(is_on=True))
        self.messages: dict[tuple[int, str], AlertMessage] = {}
        self.lines: list[tuple[AlertMessage, AlertEvent]] = []

    def put(self, alert: Alert, rule: AlertRule | None, event: AlertEvent) -> bool:
        """Have everyone told whom it concerns; whether there is anyone."""
        routes = self._routes(alert, rule)
        if routes and event._state.adding:
            event.save(force_insert=True)
        for route in routes:
            self.lines.append((self._message(route, _group(route, alert)), event))
        return bool(routes)

    def close(self) -> None:
        through = AlertMessage.events.through
        through._default_manager.bulk_create(
            [through(alertmessage_id=message.pk, alertevent_id=event.pk) for message, event in self.lines],
            ignore_conflicts=True,
        )

    def _routes(self, alert: Alert, rule: AlertRule | None) -> list[AlertRoute]:
        own = {route.pk for route in rule.routes.all()} if rule else set()
        if own:
            return [route for route in self.routes if route.pk in own]
        return [route for route in self.routes if receives(route, alert.severity)]

    def _message(self, route: AlertRoute, group: str) -> AlertMessage:
        key = (route.pk, group)
        if key not in self.messages:
            waiting = AlertMessage.objects.select_for_update(skip_locked=True).filter(
                Q(route=route, group=group, state=MessageState.WAITING, attempts=0, is_test=False), instead_of=None
            )
            self.messages[key] = waiting.first() or AlertMessage.objects.create(
                route=route, group=group, due_at=self.now + timedelta(seconds=route.wait_seconds)
            )
        return self.messages[key]


def receives(route: AlertRoute, severity: str) -> bool:
    """Whether a route is told of alerts of this severity when a rule names no routes of its own."""
    return route.receives != Receives.NOTHING and SEVERITY_ORDER[severity] <= SEVERITY_ORDER[route.receives]


def _group(route: AlertRoute, alert: Alert) -> str:
    keys: Mapping[str, object] = {
        GroupBy.ALL: "",
        GroupBy.RULE: f"rule {alert.rule_id}",
        GroupBy.CHANNEL: f"channel {alert.channel}",
        GroupBy.NONE: f"alert {alert.pk}",
    }
    return str(keys[route.group_by])
