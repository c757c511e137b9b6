"""What people do about alerts."""

from datetime import timedelta

from django.db import transaction

from analytics.alerts import courier
from analytics.alerts.choices import Happening, Phase, RouteKind
from analytics.alerts.composing import compose
from analytics.alerts.models import Alert, AlertEvent, AlertMessage, AlertRoute, Silence
from core.moments import database_now
from core.standard_webhooks import new_secret

#: The longest silence: what should be quiet for longer is a rule to be switched off.
MAX_SILENCE = timedelta(days=30)


def acknowledge(alert: Alert, *, by: str, note: str = "") -> bool:
    """Somebody takes care: no more reminders, and the end is told as ever. False when it does not fire, or somebody was
    faster."""
    with transaction.atomic():
        taken = Alert.objects.filter(pk=alert.pk, phase=Phase.FIRING, acknowledged_at=None).update(
            acknowledged_at=database_now(), acknowledged_by=by
        )
        if taken:
            AlertEvent.objects.create(alert=alert, what=Happening.ACKNOWLEDGED, by=by, note=note[:300])
    return bool(taken)


def silence(alert: Alert, *, span: timedelta, by: str, reason: str) -> Silence:
    """Nobody is told of this rule for the same channel and provider, for so long. It takes hold with the next look."""
    now = database_now()
    return Silence.objects.create(
        rule=alert.rule,
        channel=alert.channel,
        provider=alert.provider,
        starts_at=now,
        ends_at=now + min(span, MAX_SILENCE),
        reason=reason[:200],
        by=by,
    )


def end_silence(one: Silence) -> bool:
    """Now, if it has not ended yet."""
    now = database_now()
    return bool(Silence.objects.filter(pk=one.pk, ends_at__gt=now).update(ends_at=now))


def prepare_route(route: AlertRoute) -> None:
    """A webhook has a secret of its own from the beginning."""
    if route.kind == RouteKind.WEBHOOK and not route.secret:
        route.secret = new_secret()


def renew_secret(route: AlertRoute) -> None:
    """Sign with another secret from now on."""
    route.secret = new_secret()
    route.save(update_fields=["secret"])


def send_test(route: AlertRoute) -> AlertMessage:
    """Send a test at once, and tell how it went: the message with its state and answer. Takes some ten seconds at most.
    Not to be called inside a transaction."""
    now = database_now()
    message = AlertMessage.objects.create(
        route=route, is_test=True, attempts=1, leased_until=now + timedelta(seconds=courier.LEASE_SECONDS)
    )
    outgoing = compose(message, now)
    courier.record(message, outgoing, courier.deliver(route, outgoing))
    message.refresh_from_db()
    return message
