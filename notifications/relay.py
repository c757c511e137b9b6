"""Outbox to broker: due rows become messages, and leave the outbox once the broker has confirmed them.

The rows stay locked while their messages are published, so several relays share the work. A relay that dies between the
confirm and the delete publishes again; the worker's claim makes the second message harmless.
"""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import structlog
from django.db import transaction

from core.ids import Key
from core.postgresql.direct import direct_cursor
from notifications import metrics
from notifications.lanes import LANES, Lane
from notifications.messaging.base import Publisher, WorkMessage
from notifications.models.outbox import MAX_DELIVERIES

log = structlog.get_logger(__name__)

#: Deliveries and rows of one lane in a round: 20 full messages, or as many single sends as one query should lock. Every
#: lane has its own share, so a campaign of a million does not hold up a password reset for longer than a round.
ROUND_DELIVERIES = 10_000
ROUND_ROWS = 2_000
#: A lane whose queue is full, or missing, is left alone this long; then one message is offered, to see. So a full queue
#: costs the broker one refused message a second and relay, however much waits.
FULL_PAUSE_SECONDS = 1.0
#: Rows of a lane in the round that looks whether its queue has room again.
PROBE_ROWS = 1

# Per lane, rows no larger than its oldest, so that their number bounds what is read.
DUE = """
SELECT due.id, lane.channel, lane.priority, due.takes > 0, due.delivery_ids
FROM unnest($1::text[], $2::text[], $3::int[]) WITH ORDINALITY
    AS lane(channel, priority, rows, rank)
CROSS JOIN LATERAL (
    SELECT greatest(size, 1) AS size FROM notifications_outbox
    WHERE channel = lane.channel AND priority = lane.priority AND due_at <= statement_timestamp()
    ORDER BY due_at LIMIT 1
) head
CROSS JOIN LATERAL (
    SELECT id, takes, delivery_ids, due_at FROM notifications_outbox
    WHERE channel = lane.channel AND priority = lane.priority AND due_at <= statement_timestamp() AND size <= head.size
    ORDER BY due_at LIMIT least(lane.rows, greatest($4::int / head.size, 1))
    FOR UPDATE SKIP LOCKED
) due
ORDER BY lane.rank, due.due_at
"""
DELETE = "DELETE FROM notifications_outbox WHERE id = ANY($1::bigint[])"


@dataclass(frozen=True, slots=True)
class DueRow:
    """A locked outbox row. `alone`: it came back from a crash and must not be put together with others."""

    id: int
    channel: str
    priority: str
    alone: bool
    deliveries: Sequence[Key]


@dataclass(frozen=True, slots=True)
class Parcel:
    """A message and the outbox rows it carries, whole."""

    message: WorkMessage
    rows: tuple[int, ...]


def pack(rows: Iterable[DueRow]) -> Iterator[Parcel]:
    """Put rows of a lane together into messages of at most MAX_DELIVERIES deliveries; a row is never split.

    `rows` must come lane by lane.
    """
    for (channel, priority), lane in groupby(rows, key=lambda row: (row.channel, row.priority)):
        together: list[DueRow] = []
        size = 0
        for row in lane:
            if row.alone:
                yield _parcel(channel, priority, [row])
                continue
            if together and size + len(row.deliveries) > MAX_DELIVERIES:
                yield _parcel(channel, priority, together)
                together, size = [], 0
            together.append(row)
            size += len(row.deliveries)
        if together:
            yield _parcel(channel, priority, together)


def _parcel(channel: str, priority: str, rows: Sequence[DueRow]) -> Parcel:
    deliveries = [delivery for row in rows for delivery in row.deliveries]
    message = WorkMessage.of(channel, priority, deliveries, redelivered=rows[0].alone)
    return Parcel(message, tuple(row.id for row in rows))


class Relay:
    """One relay; `step` is one round. `busy` says whether the last round left due rows behind, so that the next should
    follow at once."""

    def __init__(self, publisher: Publisher) -> None:
        self.publisher = publisher
        self.busy = False
        self._full_until: dict[Lane, float] = {}
        self._probing: set[Lane] = set()  # was full when last offered something

    def step(self) -> int:
        """Due rows -> publish in one confirm window -> delete what was confirmed. Returns the messages published.

        Raises BrokerUnavailable, and then nothing is deleted, and django.db.Error.
        """
        self.busy = False
        now = time.monotonic()
        self._full_until = {lane: until for lane, until in self._full_until.items() if until > now}
        lanes = [lane for lane in LANES if lane not in self._full_until]
        if not lanes:
            return 0
        with transaction.atomic():
            parcels = list(pack(self._due(lanes)))
            if not parcels:
                return 0
            taken = self.publisher.publish([parcel.message for parcel in parcels])
            confirmed = [row for parcel, ok in zip(parcels, taken, strict=True) if ok for row in parcel.rows]
            if confirmed:
                with direct_cursor() as cursor:
                    cursor.execute(DELETE, [confirmed])
        self._look_at(parcels, taken)
        return sum(taken)

    def _look_at(self, parcels: Sequence[Parcel], taken: Sequence[bool]) -> None:
        """Which lanes refused, and are left alone; and which have room again, and go on at once."""
        for (channel, priority, ok), n in Counter(
            (p.message.channel, p.message.priority, ok) for p, ok in zip(parcels, taken, strict=True)
        ).items():
            (metrics.PUBLISHED if ok else metrics.REFUSED).inc(channel, priority, by=n)
        offered = {(parcel.message.channel, parcel.message.priority) for parcel in parcels}
        full = {(p.message.channel, p.message.priority) for p, ok in zip(parcels, taken, strict=True) if not ok}
        for channel, priority in full - self._probing:
            log.warning("queue full or missing; its rows wait in the outbox", channel=channel, priority=priority)
        found = (offered - full) & self._probing
        for channel, priority in found:
            log.info("queue has room again", channel=channel, priority=priority)
        self._full_until.update(dict.fromkeys(full, time.monotonic() + FULL_PAUSE_SECONDS))
        self._probing = (self._probing | full) - found
        self.busy = self.busy or bool(found)

    def _due(self, lanes: Sequence[Lane]) -> list[DueRow]:
        channels, priorities = zip(*lanes, strict=True)
        share = [PROBE_ROWS if lane in self._probing else ROUND_ROWS for lane in lanes]
        with direct_cursor() as cursor:
            cursor.execute(DUE, [list(channels), list(priorities), share, ROUND_DELIVERIES])
            rows = [DueRow(*row) for row in cursor.fetchall()]
        # A lane that gave (nearly) all its share has more; so has one whose larger rows were left for the next round.
        self.busy = bool(rows) and (
            len(rows) >= ROUND_ROWS or sum(len(row.deliveries) for row in rows) >= ROUND_DELIVERIES / 2
        )
        return rows
