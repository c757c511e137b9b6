"""What is done to endpoints: by the API, in the admin. Whatever changes is known to every process within 5 seconds."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog
from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from analytics.webhooks.known import known
from analytics.webhooks.listener import schedule
from analytics.webhooks.models import WebhookEndpoint, WebhookMessage
from analytics.webhooks.sending import circuit_of
from analytics.webhooks.vocabulary import EVENTS, TEST, OffReason
from core import redis
from core.outbound_http import OutboundRefused, check_url
from core.standard_webhooks import new_secret
from notifications.models import ApiKey
from notifications.providers.breaker import Breaker

log = structlog.get_logger(__name__)

#: Endpoints of one key: each event of its notifications is a message to every one of them.
MAX_PER_KEY = 20
#: After a rotation both secrets sign for so long: time to put the new one in place.
OLD_SECRET = timedelta(hours=24)


class EndpointRefused(ValueError):
    """This cannot be. `field` is what is wrong, `code` our stable word for it."""

    def __init__(self, field: str, code: str, message: str) -> None:
        super().__init__(message)
        self.field, self.code = field, code


@dataclass(frozen=True, slots=True)
class Wishes:
    """What an endpoint is to be; None leaves as it is what is there."""

    url: str | None = None
    description: str | None = None
    events: Sequence[str] | None = None
    is_on: bool | None = None


def endpoints() -> QuerySet[WebhookEndpoint]:
    """Those that are there: a deleted one is only waiting for its log to be cleared away."""
    return WebhookEndpoint.objects.filter(deleted_at=None)


def create(wishes: Wishes, *, keys: Sequence[ApiKey]) -> WebhookEndpoint:
    """A new endpoint with a secret of its own. Raises EndpointRefused."""
    check(wishes)
    with transaction.atomic():
        list(ApiKey.objects.select_for_update().filter(pk__in=[key.pk for key in keys]))  # so that two count in turn
        check_keys(keys)
        made = WebhookEndpoint.objects.create(
            url=wishes.url or "",
            description=wishes.description or "",
            events=list(wishes.events or ()),
            secrets=[new_secret()],
            **_switch(wishes.is_on is not False),
        )
        made.keys.set(keys)
        transaction.on_commit(known.expire)
    made.refresh_from_db()
    return made


def change(endpoint: WebhookEndpoint, wishes: Wishes) -> None:
    """Raises EndpointRefused. One that is switched on starts with a clean slate: failures of before do not count."""
    check(wishes)
    fields: dict[str, object] = {
        name: value
        for name, value in (("url", wishes.url), ("description", wishes.description), ("events", wishes.events))
        if value is not None
    }
    if wishes.is_on is not None and wishes.is_on != endpoint.is_on:
        fields |= _switch(wishes.is_on)
    for name, value in fields.items():
        setattr(endpoint, name, value)
    if fields:
        endpoint.save(update_fields=list(fields))
        transaction.on_commit(known.expire)
    if {"url", "is_on"} & fields.keys():
        transaction.on_commit(lambda: _forget_circuit(endpoint))


def rotate(endpoint: WebhookEndpoint) -> str:
    """A new secret, which signs from now on; the old one signs beside it for OLD_SECRET, any older one no more."""
    secret = new_secret()
    with transaction.atomic():  # two at once: the one that comes second must not give out a secret that never signs
        stored = WebhookEndpoint.objects.select_for_update().get(pk=endpoint.pk)
        endpoint.secrets = [secret, *stored.secrets[:1]]
        endpoint.old_secret_until = timezone.now() + OLD_SECRET
        endpoint.save(update_fields=["secrets", "old_secret_until"])
    return secret


def delete(endpoint: WebhookEndpoint) -> None:
    """It hears nothing more, and is not seen any more; maintenance clears its log away."""
    endpoint.is_on, endpoint.deleted_at = False, timezone.now()
    endpoint.save(update_fields=["is_on", "deleted_at"])
    transaction.on_commit(known.expire)


def send_test(endpoint: WebhookEndpoint) -> WebhookMessage:
    """A message that tells of nothing, on the way that all take. Raises EndpointRefused for one that is off."""
    if not endpoint.is_on:
        raise EndpointRefused("is_on", "off", "The endpoint is off: switch it on to test it.")
    with transaction.atomic():
        made = WebhookMessage.objects.create(endpoint=endpoint, type=TEST)
        schedule([made.id.bytes])
    return made


def set_keys(endpoint: WebhookEndpoint, keys: Collection[ApiKey]) -> None:
    """Whose notifications it is told of. Raises EndpointRefused."""
    check_keys(keys, besides=endpoint)
    endpoint.keys.set(keys)
    transaction.on_commit(known.expire)


def check_keys(keys: Collection[ApiKey], *, besides: WebhookEndpoint | None = None) -> None:
    """Raises EndpointRefused unless there are keys, of one mode (test traffic and live traffic are not told in one
    stream), each with room for an endpoint besides this one."""
    if not keys:
        raise EndpointRefused("keys", "required", "An endpoint belongs to one API key at least.")
    if len({key.mode for key in keys}) > 1:
        raise EndpointRefused("keys", "mixed", "Live keys and test keys do not share an endpoint.")
    others = Q(webhook_endpoints__deleted_at=None)
    if besides is not None:
        others &= ~Q(webhook_endpoints__id=besides.pk)
    counted = ApiKey.objects.filter(pk__in=[key.pk for key in keys]).annotate(has=Count("webhook_endpoints", others))
    if any(key.has >= MAX_PER_KEY for key in counted):
        raise EndpointRefused("keys", "too_many", f"An API key has {MAX_PER_KEY} endpoints at most.")


def check(wishes: Wishes) -> None:
    """Raises EndpointRefused for what can be seen to be wrong."""
    if wishes.url is not None:
        try:
            check_url(wishes.url)
        except OutboundRefused as refused:
            raise EndpointRefused("url", "invalid", str(refused)) from None
    if wishes.events is not None:
        for position, name in enumerate(wishes.events):
            if name not in EVENTS:
                raise EndpointRefused(f"events/{position}", "unknown", f"The events are {', '.join(EVENTS)}.")
        if len(set(wishes.events)) < len(wishes.events):
            raise EndpointRefused("events", "repeated", "An event is named twice.")


def _switch(on: bool) -> dict[str, object]:
    if on:
        return {"is_on": True, "off_reason": "", "off_at": None, "failing_since": None}
    return {"is_on": False, "off_reason": OffReason.BY_HAND.value, "off_at": Now()}


def _forget_circuit(endpoint: WebhookEndpoint) -> None:
    """What was known of the old address says nothing of the new one."""
    try:
        Breaker().reset(circuit_of(endpoint.id.bytes))
    except redis.RedisError:
        log.warning("webhooks.circuit_kept", endpoint=str(endpoint.id))
