"""Turns events into webhook messages, inside the transaction that records them."""

from collections.abc import Collection, Sequence
from uuid import UUID

from analytics.webhooks.known import known
from analytics.webhooks.vocabulary import EVENTS
from core import ids
from core.ids import Key
from core.postgresql.direct import direct_cursor
from notifications import bulk
from notifications.bulk import KEY, text_field
from notifications.choices import Priority
from notifications.models.outbox import MAX_DELIVERIES
from notifications.observers import Happening

#: The first part of the lanes that webhooks travel in. What is replayed has the low one: news come first.
CHANNEL = "webhook"

#: The moment is its default: now, by the database's clock, as the event's own.
_COLUMNS = "id, endpoint_id, notification_id, delivery_id, type, channel, code, provider"
_MESSAGE = bulk.head(_COLUMNS) + KEY


class WebhookListener:
    """An `EventListener`: a message for each endpoint that wants to know, and its place in the outbox."""

    def sources(self) -> Collection[str]:
        return known.by_source()

    def tell(self, happenings: Sequence[Happening]) -> None:
        listening = known.by_source()
        wanted = [
            (endpoint.id, one)
            for one in happenings
            if one.type in EVENTS
            for endpoint in listening.get(one.source, ())
            if endpoint.wants(one.type)
        ]
        if not wanted:
            return
        keys = ids.keys(len(wanted))
        with direct_cursor() as cursor:
            rows = [_row(id, endpoint, one) for id, (endpoint, one) in zip(keys, wanted, strict=True)]
            bulk.copy_rows(cursor, "analytics_webhookmessage", _COLUMNS, rows)
        schedule(keys)


def schedule(messages: Sequence[Key], priority: str = Priority.NORMAL.value) -> None:
    """Put messages into the outbox, due now. With the transaction that made them."""
    outbox = bulk.Schedule(MAX_DELIVERIES)
    outbox.extend(CHANNEL, priority, messages)
    outbox.write()


def _row(id: Key, endpoint: UUID, one: Happening) -> bytes:
    said = (one.type, one.channel, one.code, one.provider)
    keys = (_MESSAGE, id, KEY, endpoint.bytes, KEY, one.notification, KEY, one.delivery)
    return b"".join((*keys, *map(text_field, said)))
