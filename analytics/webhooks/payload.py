"""What a webhook message says: ids, codes and the sender's own metadata. No content and no address."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

import orjson

from analytics.webhooks.models import WebhookMessage
from analytics.webhooks.vocabulary import TEST
from core import ids
from core.ids import Key
from core.postgresql.direct import direct_cursor
from notifications.services.tracking_sql import by_id, of_record

_NOTIFICATIONS = """
    SELECT id, recipient_id, metadata::text, is_test FROM notifications_notification
     WHERE id = ANY($1::uuid[]) AND id BETWEEN $2 AND $3
"""
_RECIPIENTS = "SELECT id, external_id FROM preferences_recipient WHERE id = ANY($1::uuid[])"


class Told(NamedTuple):
    """A message as its row has it."""

    id: Key
    endpoint: Key
    type: str
    notification: Key | None
    delivery: Key | None
    channel: str
    code: str
    provider: str
    at: datetime


def told(row: WebhookMessage) -> Told:
    """The same of a row of Django's."""
    about, delivery = row.notification_id, row.delivery_id
    return Told(
        row.id.bytes,
        row.endpoint_id.bytes,
        row.type,
        None if about is None else about.bytes,
        None if delivery is None else delivery.bytes,
        row.channel,
        row.code,
        row.provider,
        row.at,
    )


class About(NamedTuple):
    """Of a notification: whom it was for (None once they are erased), what its sender noted, whether it was a test."""

    recipient: str | None
    metadata: str
    is_test: bool


_NOTHING = About(None, "{}", is_test=False)


def about(notifications: Collection[Key]) -> dict[Key, About]:
    """In two reads by primary key, however many."""
    if not notifications:
        return {}
    with direct_cursor() as cursor:
        found = of_record(cursor, _NOTIFICATIONS, set(notifications))
        people = by_id(cursor, _RECIPIENTS, {row[1] for row in found.values()})
    return {
        id: About(people[recipient][1] if recipient in people else None, metadata, is_test)
        for id, recipient, metadata, is_test in found.values()
    }


def body(told: Told, known: About = _NOTHING) -> bytes:
    """The JSON that is sent, and signed. The same each time, unless the record was erased in between."""
    if told.type == TEST or told.notification is None or told.delivery is None:
        said: dict[str, object] = {"endpoint": ids.uuid(told.endpoint)}
        return _json("endpoint.test", told.at, said)
    said = {
        "notification": ids.uuid(told.notification),
        "delivery": ids.uuid(told.delivery),
        "recipient": known.recipient,
        "channel": told.channel,
        "event": told.type,
        "code": told.code or None,
        "provider": told.provider or None,
        "metadata": orjson.Fragment(known.metadata),
        "test": known.is_test,
    }
    return _json(f"notification.{told.type}", told.at, said)


def _json(type: str, at: datetime, data: dict[str, object]) -> bytes:
    return orjson.dumps({"type": type, "timestamp": at, "data": data}, option=orjson.OPT_UTC_Z)


def message_id(id: Key) -> str:
    """The `webhook-id`: the same for every attempt and replay, so that the receiver can tell what it has already."""
    return f"msg_{ids.uuid(id).hex}"
