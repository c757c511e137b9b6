"""What the queues gave up on, turned into rows a person can see and replay.

The broker counts a return for every message a dying worker held, so what lands here need not be guilty. A dead message
of many is therefore split in eight and sent again; what dies of that is split once more, and only a delivery that took
down every worker it was alone with is poison. So one poison delivery costs some twenty rows, and 10,000 dead
messages of 500 come back as 80,000 rows and not as five million.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import pika
import structlog
from django.db import transaction
from django.db.backends.utils import CursorWrapper
from pika.adapters.blocking_connection import BlockingChannel

from core import ids
from core.ids import Key
from core.postgresql.direct import KeyArray, direct_cursor
from notifications.lanes import LANES
from notifications.messaging import suspects, topology
from notifications.messaging.base import MalformedMessage, WorkMessage, decode
from notifications.messaging.connection import short_lived
from notifications.messaging.publisher import REDRIVEN
from notifications.models.dead_letter import DeadCause
from notifications.models.outbox import MAX_DELIVERIES, OutboxMessage
from notifications.services.tracking_sql import of_record

log = structlog.get_logger(__name__)

#: Messages, and deliveries in them, of one step; the rest wait for the next. Some 0.3 s, so that the other tasks of
#: maintenance have their turn.
STEP = 100
STEP_DELIVERIES = 10_000
#: Parts of a dead message. With 500 deliveries: 63, then 8, then one by one.
PARTS = 8
#: Of an unreadable body, in the log.
SHOWN_BYTES = 32

#: Deliveries that have not ended, their lanes, and until when a worker holds them (null: nobody does).
_UNFINISHED = """
    SELECT id, channel, priority, CASE WHEN status = 'sending' AND lease_until > now() THEN lease_until END
      FROM notifications_delivery
     WHERE id = ANY($1::uuid[]) AND id BETWEEN $2 AND $3 AND status IN ('queued', 'sending')
"""
_IN_OUTBOX = "SELECT x FROM notifications_outbox, unnest(delivery_ids) AS x WHERE x = ANY($1::uuid[])"


@dataclass(slots=True)
class _Batch:
    """What one step took: messages to try again in smaller parts, and those that came back alone."""

    suspects: list[WorkMessage] = field(default_factory=list)
    alone: list[WorkMessage] = field(default_factory=list)
    last_tag: int = 0
    messages: int = 0
    deliveries: int = 0

    @property
    def is_full(self) -> bool:
        return self.messages >= STEP or self.deliveries >= STEP_DELIVERIES


@dataclass(frozen=True, slots=True)
class _Open:
    """A delivery that has not ended and that nothing else would send."""

    id: Key
    channel: str
    priority: str
    held_until: datetime | None


class DeadLetterDrain:
    """Empties the dead queue into PostgreSQL. Several may run."""

    def step(self) -> int:
        """Take at most STEP messages; returns how many were dealt with. Raises BrokerUnavailable.

        They are acknowledged after the commit. A crash in between brings them again, and then what is in the outbox
        already, or has ended, is left alone.
        """
        with short_lived("dead letters") as broker:
            topology.declare(broker, ())
            channel = broker.channel()
            channel.confirm_delivery()
            batch = self._take(channel)
            if batch.deliveries:
                self._record(batch)
            if batch.messages:
                channel.basic_ack(batch.last_tag, multiple=True)
            return batch.messages

    def _take(self, channel: BlockingChannel) -> _Batch:
        batch = _Batch()
        while not batch.is_full:
            method, properties, body = channel.basic_get(topology.dead())
            if method is None:
                break
            batch.last_tag = method.delivery_tag
            batch.messages += 1
            message = _read(method.routing_key, body)
            if message is None:
                self._keep(channel, method.routing_key, properties, body)
                continue
            batch.deliveries += len(message.deliveries)
            had_its_chance = (properties.headers or {}).get(REDRIVEN) and len(message.deliveries) == 1
            (batch.alone if had_its_chance else batch.suspects).append(message)
        return batch

    def _record(self, batch: _Batch) -> None:
        """Look first how the deliveries stand: what has ended meanwhile, or will be sent anyway, is neither poison nor
        to be sent again. What a worker holds is tried when its lease has run out."""
        from notifications.services.tracking import DeliveryTracker

        with transaction.atomic(), direct_cursor() as cursor:
            open_ = _open(cursor, {id for message in (*batch.suspects, *batch.alone) for id in message.deliveries})
            came_back = [open_[message.deliveries[0]] for message in batch.alone if message.deliveries[0] in open_]
            # Alone on its way is not alone in a worker's hands: what waited beside the guilty came back as often.
            poison = sorted(suspects.deadly({one.id for one in came_back if one.held_until is None}))
            rows = [_row([one]) for one in came_back if one.id not in poison]
            for message in batch.suspects:
                rows += _rows([open_[id] for id in dict.fromkeys(message.deliveries) if id in open_])
            OutboxMessage.objects.bulk_create(rows, batch_size=1000)
            if poison:
                detail = "Its worker crashed again and again, alone too."
                DeliveryTracker().bury(poison, cause=DeadCause.POISON, detail=detail)
        if rows:
            deliveries = sum(len(row.delivery_ids) for row in rows)
            log.warning(
                "messages came back too often; their deliveries go again in parts",
                deliveries=deliveries,
                rows=len(rows),
            )
        for id in poison:
            suspects.forget(id)  # a replay gives it a fresh chance
        if poison:
            log.error("poison deliveries buried", deliveries=[str(ids.uuid(id)) for id in poison])

    def _keep(self, channel: BlockingChannel, routing_key: str, properties: pika.BasicProperties, body: bytes) -> None:
        """No delivery to name, so no row to write: kept on the broker for a person, durably, and out of the way."""
        log.error(
            "unreadable message", queue=topology.malformed(), routing_key=routing_key, body=body[:SHOWN_BYTES].hex()
        )
        kept = pika.BasicProperties(
            message_id=properties.message_id,
            headers={"from": routing_key},
            delivery_mode=pika.DeliveryMode.Persistent.value,
        )
        channel.basic_publish("", topology.malformed(), body, kept, mandatory=True)


def _open(cursor: CursorWrapper, keys: Collection[Key]) -> dict[Key, _Open]:
    """Of these deliveries, those that have not ended and do not stand in the outbox."""
    unfinished = {row[0]: _Open(*row) for row in of_record(cursor, _UNFINISHED, keys).values()}
    cursor.execute(_IN_OUTBOX, [KeyArray.of(unfinished)])
    for (id,) in cursor.fetchall():
        unfinished.pop(id, None)
    return unfinished


def _rows(suspects: Sequence[_Open]) -> list[OutboxMessage]:
    """A dead message as outbox rows: what is free in PARTS parts, what a worker holds one by one."""
    free = [one for one in suspects if one.held_until is None]
    size = -(-min(len(free), MAX_DELIVERIES) // PARTS)
    rows = [_row([one]) for one in suspects if one.held_until is not None]
    lanes: dict[tuple[str, str], list[_Open]] = {}
    for one in free:
        lanes.setdefault((one.channel, one.priority), []).append(one)
    for lane in lanes.values():
        rows += [_row(lane[start : start + size]) for start in range(0, len(lane), size)]
    return rows


def _row(part: Sequence[_Open]) -> OutboxMessage:
    """`takes` keeps the relay from putting it together with others again, and makes it mark it as re-driven."""
    row = OutboxMessage(
        channel=part[0].channel, priority=part[0].priority, delivery_ids=[ids.uuid(one.id) for one in part], takes=1
    )
    if part[0].held_until is not None:
        row.due_at = part[0].held_until
    return row


def _read(routing_key: str, body: bytes) -> WorkMessage | None:
    """The message, when lane and body make sense."""
    channel, _, priority = routing_key.partition(".")
    if (channel, priority) not in LANES:
        return None
    try:
        return decode(body, channel=channel, priority=priority)
    except MalformedMessage:
        return None
