"""The events lane: receipts, opens, clicks and people's STOP and START between whoever tells of them and `run_events`,
which applies them.

It is a table of PostgreSQL and nothing more. Who tells of something is answered after `put`, so what was answered is as
durable as the record itself; the web process talks to no broker, and Redis may be away. `run_events` takes a batch in
the transaction that applies it: whoever dies in between, a row is applied once or still there.

Rows are taken roughly in the order they came, and by several processes at once. So nothing may depend on their order.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import msgspec
from django.conf import settings
from django.db import connection, transaction

from core import ids
from core.postgresql.direct import KeyArray, TextArray, direct_cursor
from notifications.choices import EventType
from notifications.errors import CarillonError
from notifications.services.claims import ProviderReceipt
from notifications.services.gauge import Gauge
from notifications.services.recording import vendor_text
from notifications.services.tracking_sql import Row
from preferences.keywords import Keyword

#: Characters of the vendor's name for an event, of a code, and of the reason why a hit is not a person's.
MAX_EVENT_ID, MAX_WORD = 128, 32
#: Events that `depth` counts: ten seconds of 5,000 a second.
COUNTED = 50_000
#: A taker that remembers how far it was goes back so far: rows appear when their transaction commits, not in the order
#: in which they came. What takes longer is found when it looks at the front again.
OVERLAP = timedelta(seconds=2)
#: That it does so many times as long after a look as the look took.
REST = 20
EVER = datetime(2000, 1, 1, tzinfo=UTC)
#: The delivery of what is said of none. A STOP is about a number, whatever was sent to it.
NO_DELIVERY = UUID(int=0)
#: Characters of a sender's number: E.164 has 16, and vendors write some more into it.
MAX_SENDER = 32
_TYPES = [*EventType.values, *Keyword.values]


class Incoming(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One thing said of a delivery from outside; or, where the type is a Keyword, by somebody who was sent something.

    `origin` is the name of the provider that reports it, who may say the same thing twice; or "link" or "pixel" for a
    hit on our own addresses, each of which is one of its own. `event_id` is the provider's name for the event, where it
    has one. `code` and `detail` say why, in our words and in theirs. `machine` says why a hit is not a person's, and is
    empty for a person's. `at` is when the lane got it, and is given by the lane. `sender` is the number that said a
    keyword, and `said_at` when, where the provider tells it. Text that is too long is cut off.
    """

    type: EventType | Keyword
    origin: str
    delivery_id: UUID = NO_DELIVERY
    event_id: str = ""
    code: str = ""
    detail: str = ""
    machine: str = ""
    at: datetime | None = None
    sender: str = ""
    said_at: datetime | None = None

    @property
    def receipt(self) -> ProviderReceipt:
        """What DeliveryTracker takes. For what is said of a delivery."""
        if not isinstance(self.type, EventType):
            raise TypeError("A keyword is no receipt.")
        return ProviderReceipt(
            self.delivery_id, self.type, self.origin, self.code, self.detail, self.event_id, self.machine, self.at
        )


class LaneFull(CarillonError):
    """More events wait than may (settings.EVENTS_MAX_ROWS); nothing was taken. Who can, comes again later."""


class Depth(NamedTuple):
    """What waits: how many events are due, how long the longest-due of them has been, in seconds, and how many are for
    later: a moment later, or set aside. Counted up to COUNTED; as many means as many or more."""

    due: int
    oldest_seconds: float
    later: int


_PUT = """
    INSERT INTO notifications_receivedevent
           (due_at, type, origin, delivery_id, event_id, code, machine, detail, sender, said_at)
    SELECT now() + $1::float8 * interval '1 second', type, origin, delivery_id, event_id, code, machine, detail,
           sender, nullif(said_at, '')::timestamptz
      FROM unnest($2::text[], $3::text[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
                  $10::text[])
        AS event (type, origin, delivery_id, event_id, code, machine, detail, sender, said_at)
"""

# What goes back keeps the moment of its first coming: whether a hit came too soon for a person is judged by it.
_PUT_BACK = """
    INSERT INTO notifications_receivedevent
           (due_at, type, origin, delivery_id, event_id, code, machine, detail, sender, said_at, received_at)
    SELECT now() + $1::float8 * interval '1 second', type, origin, delivery_id, event_id, code, machine, detail,
           sender, nullif(said_at, '')::timestamptz, coalesce(nullif(at, '')::timestamptz, now())
      FROM unnest($2::text[], $3::text[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
                  $10::text[], $11::text[])
        AS event (type, origin, delivery_id, event_id, code, machine, detail, sender, said_at, at)
"""

# The ids are found once and first, by a plan of its own: where the rest is a join, LIMIT may be asked again and again.
_TAKE = """
    DELETE FROM notifications_receivedevent
     WHERE id = ANY(ARRAY(
           SELECT id FROM notifications_receivedevent
            WHERE due_at <= now() AND due_at > $3::timestamptz AND type = ANY($2::text[])
            ORDER BY due_at LIMIT $1::int FOR UPDATE SKIP LOCKED))
 RETURNING type, origin, delivery_id, event_id, code, machine, detail, sender, said_at, received_at, due_at
"""

_RETRY = "UPDATE notifications_receivedevent SET due_at = now() WHERE id = ANY(%s) AND due_at > now()"

_WAITING = """
    SELECT count(*) FROM (SELECT 1 FROM notifications_receivedevent LIMIT %s) found
"""

_DEPTH = """
    SELECT (SELECT count(*) FROM (
                SELECT 1 FROM notifications_receivedevent WHERE due_at <= now() LIMIT %(most)s) due),
           coalesce((SELECT extract(epoch FROM now() - due_at)::float8 FROM notifications_receivedevent
                      WHERE due_at <= now() ORDER BY due_at LIMIT 1), 0),
           (SELECT count(*) FROM (
                SELECT 1 FROM notifications_receivedevent WHERE due_at > now() LIMIT %(most)s) later)
"""


def _count(most: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_WAITING, [most])
        found: int = cursor.fetchone()[0]
    return found


#: Shared by every caller of the process.
lane_gauge = Gauge("events_lane", _count, lambda: int(settings.EVENTS_MAX_ROWS))


def put(events: Sequence[Incoming], *, delay: float = 0.0) -> None:
    """Put events on the lane, in one statement, to be applied after `delay` seconds. When it returns they are durable,
    or will be with the transaction that is open. Raises LaneFull, or django.db's errors; then none of them is there."""
    if not events:
        return
    if lane_gauge.is_full():
        raise LaneFull("More events wait to be applied than this installation keeps. Come again later.")
    _write(events, delay=delay)


class Taker:
    """Takes events batch by batch, for one thread that does so all the time.

    What was taken stays in the index while anybody looks at an earlier state of the database, a backup for one, and to
    pass over 150,000 such rows took 150 ms each time. So the taker remembers how far it was, and looks at the front
    again only as often as costs a twentieth of its time: as a rule always.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin at the front."""
        self._since, self._look_back_at = EVER, 0.0

    def take(self, limit: int) -> list[Incoming]:
        """Events that are due, for the transaction that is open: they come back if it is undone. Several processes may
        take at once and share the work. What a newer release put there and this one has no word for is left to it."""
        _needs_transaction()
        began = time.monotonic()
        looks_back = began >= self._look_back_at
        with direct_cursor() as cursor:
            cursor.execute(_TAKE, [limit, _TYPES, EVER if looks_back else self._since])
            rows = cursor.fetchall()
        if looks_back:
            ended = time.monotonic()
            self._look_back_at = ended + REST * (ended - began)
        if rows:
            self._since = max(row[-1] for row in rows) - OVERLAP
        return [_incoming(row) for row in rows]


def take(limit: int) -> list[Incoming]:
    """`Taker.take` for whoever takes once."""
    return Taker().take(limit)


def _incoming(row: Row) -> Incoming:
    type, origin, delivery, event_id, code, machine, detail, sender, said_at, at, _ = row
    return Incoming(
        type=_TYPE_OF[type],
        origin=origin,
        delivery_id=ids.uuid(delivery),
        event_id=event_id,
        code=code,
        machine=machine,
        detail=detail,
        at=at,
        sender=sender,
        said_at=said_at,
    )


_TYPE_OF: Mapping[str, EventType | Keyword] = {kind.value: kind for kinds in (EventType, Keyword) for kind in kinds}


def set_aside(events: Sequence[Incoming], *, seconds: float) -> None:
    """Put events that were taken and cannot be applied back for later, in the transaction that took them."""
    _needs_transaction()
    if events:
        moments = _moments(event.at for event in events)
        with direct_cursor() as cursor:
            cursor.execute(_PUT_BACK, [seconds, *_columns(events), moments])


def retry(ids: Iterable[int]) -> int:
    """Make these due now; how many of them were for later."""
    with connection.cursor() as cursor:
        cursor.execute(_RETRY, [list(ids)])
        moved: int = cursor.rowcount
    return moved


def depth() -> Depth:
    """How much waits, in some ten milliseconds at most."""
    with connection.cursor() as cursor:
        cursor.execute(_DEPTH, {"most": COUNTED})
        return Depth(*cursor.fetchone())


def _write(events: Sequence[Incoming], *, delay: float) -> None:
    with direct_cursor() as cursor:
        cursor.execute(_PUT, [delay, *_columns(events)])


def _columns(events: Sequence[Incoming]) -> list[TextArray | KeyArray]:
    return [
        _texts((event.type.value for event in events), 10),
        _texts((event.origin for event in events), MAX_WORD),
        KeyArray.of([event.delivery_id.bytes for event in events]),
        _texts((event.event_id for event in events), MAX_EVENT_ID),
        _texts((event.code for event in events), MAX_WORD),
        _texts((event.machine for event in events), MAX_WORD),
        _texts((event.detail for event in events), None),
        _texts((event.sender for event in events), MAX_SENDER),
        _moments(event.said_at for event in events),
    ]


def _moments(values: Iterable[datetime | None]) -> TextArray:
    return TextArray.of("" if value is None else value.isoformat() for value in values)


def _texts(values: Iterable[str], limit: int | None) -> TextArray:
    """Fit for the table, whatever a vendor wrote."""
    return TextArray.of(vendor_text(value)[:limit] if value else "" for value in values)


def _needs_transaction() -> None:
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("Events are taken inside the transaction that applies them.")
