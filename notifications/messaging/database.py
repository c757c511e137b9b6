"""The transport without a broker: workers take due outbox rows themselves.

A row that is taken moves its due_at into the future (its visibility timeout) and counts the take; an acknowledgement
deletes it. A worker that dies leaves a row that comes back. All times are the database's clock.
"""

import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction

from core import ids
from core.ids import Key
from core.postgresql.direct import direct_cursor
from notifications.messaging.backoff import full_jitter
from notifications.messaging.base import Handler, Verdict, WorkMessage
from notifications.messaging.dead import PARTS
from notifications.messaging.fairness import Turns
from notifications.messaging.threads import ThreadedConsumer
from notifications.models.dead_letter import DeadCause
from notifications.models.outbox import MAX_DELIVERIES

log = structlog.get_logger(__name__)

# The lane is chosen by its head: the oldest due row. Rows no larger than the head are taken with it, so that the whole
# never exceeds MAX_DELIVERIES and no row is locked in vain. A row that came back (takes > 0) is taken alone: were it
# poison, the rows beside it would be counted down with it.
TAKE = """
WITH head AS (
    SELECT lane.priority, first.size, first.takes
    FROM unnest($1::text[]) WITH ORDINALITY AS lane(priority, rank)
    CROSS JOIN LATERAL (
        SELECT greatest(size, 1) AS size, takes, due_at FROM notifications_outbox
        WHERE channel = $2::text AND priority = lane.priority AND due_at <= now()
        ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED
    ) first
    ORDER BY CASE WHEN $3::bool THEN first.due_at END, lane.rank LIMIT 1
), picked AS (
    SELECT id FROM notifications_outbox
    WHERE channel = $2::text AND priority = (SELECT priority FROM head) AND due_at <= now()
      AND size <= (SELECT size FROM head) AND least(takes, 1) = (SELECT least(takes, 1) FROM head)
    ORDER BY due_at
    LIMIT (SELECT CASE WHEN takes > 0 THEN 1 ELSE greatest($4::int / size, 1) END FROM head)
    FOR UPDATE SKIP LOCKED
)
UPDATE notifications_outbox outbox
SET due_at = now() + make_interval(secs => $5::float8), takes = outbox.takes + 1
FROM picked WHERE outbox.id = picked.id
RETURNING outbox.id, outbox.priority, outbox.takes, outbox.delivery_ids
"""

# Guarded by the count of takes: a row that came back and was taken again belongs to someone else.
ACK = """
DELETE FROM notifications_outbox outbox USING unnest($1::bigint[], $2::int[]) AS mine(id, takes)
WHERE outbox.id = mine.id AND outbox.takes = mine.takes
"""
RELEASE = """
UPDATE notifications_outbox outbox
SET due_at = now() + make_interval(secs => $3::float8), takes = outbox.takes - $4::int
FROM unnest($1::bigint[], $2::int[]) AS mine(id, takes)
WHERE outbox.id = mine.id AND outbox.takes = mine.takes
"""
SPLIT = """
WITH whole AS (
    DELETE FROM notifications_outbox WHERE id = $1::bigint AND takes = $2::int
    RETURNING channel, priority, delivery_ids, created_at
)
INSERT INTO notifications_outbox (channel, priority, delivery_ids, takes, created_at)
SELECT channel, priority, array_agg(delivery_id ORDER BY place), $3::int, created_at
FROM whole, unnest(delivery_ids) WITH ORDINALITY AS one(delivery_id, place)
GROUP BY channel, priority, created_at, (place - 1) / $4::int
"""

#: A row of many that came back this often is handed out in PARTS parts, so that one poison delivery does not hold up
#: the rest until the limit: a third of the limit. A part that comes back as well is split again at once.
SPLIT_SHARE = 3


@dataclass(frozen=True, slots=True)
class Row:
    """An outbox row in hand: this taker's count of takes is the proof that it is still his."""

    id: int
    takes: int
    deliveries: Sequence[Key]


class DatabaseConsumer(ThreadedConsumer):
    """Outbox rows of one channel, straight from PostgreSQL; as many processes as you like."""

    def __init__(self, channel: str, priorities: Sequence[str]) -> None:
        super().__init__()
        self.channel = channel
        self.priorities = list(priorities)
        self._turns = Turns()
        self._poll = threading.Lock()  # one idle thread polls, the others wait for it

    def work_once(self, handle: Handler) -> None:
        with self._poll:
            priority, rows = self._take()
            if not rows:
                self.pause(settings.WORKER_POLL_SECONDS)
                return
        if rows[0].takes > self._allowed(rows[0]):
            self._give_up(rows[0])
            return
        deliveries = tuple(delivery for row in rows for delivery in row.deliveries)
        message = WorkMessage(_id_of(rows), self.channel, priority, deliveries, redelivered=rows[0].takes > 1)
        self._settle(rows, message, handle)

    def _take(self) -> tuple[str, list[Row]]:
        # Rows that come back after a crash must not all meet again in the same moment, hence the jitter.
        visibility = settings.VISIBILITY_SECONDS * random.uniform(1.0, 1.25)
        with direct_cursor() as cursor:
            cursor.execute(TAKE, [self.priorities, self.channel, self._turns.fair(), MAX_DELIVERIES, visibility])
            found = cursor.fetchall()
        return (found[0][1] if found else ""), [Row(id, takes, keys) for id, _, takes, keys in found]

    def _settle(self, rows: list[Row], message: WorkMessage, handle: Handler) -> None:
        try:
            verdict = handle(message)
        except Exception:
            log.exception("handling crashed; the batch comes back", message_id=str(message.id), takes=rows[0].takes)
            self._release(rows, pause=full_jitter(rows[0].takes, base=0.2, cap=30.0), uncount=0)
            return
        if verdict is Verdict.DONE:
            self._execute(ACK, rows)
        else:
            self._release(rows, pause=random.uniform(0.2, 1.0), uncount=1)

    def _release(self, rows: list[Row], *, pause: float, uncount: int) -> None:
        self._execute(RELEASE, rows, pause, uncount)

    def _execute(self, statement: str, rows: list[Row], *more: float) -> None:
        with direct_cursor() as cursor:
            cursor.execute(statement, [[row.id for row in rows], [row.takes for row in rows], *more])

    def _allowed(self, row: Row) -> int:
        """Takes of this row; at least one more than its parts start with."""
        together: int = max(2, settings.BROKER_DELIVERY_LIMIT // SPLIT_SHARE)
        return together if len(row.deliveries) > 1 else max(together + 1, settings.BROKER_DELIVERY_LIMIT)

    def _give_up(self, row: Row) -> None:
        if len(row.deliveries) > 1:
            self._split(row)
            return
        from notifications.services.tracking import DeliveryTracker

        detail = f"Handed out at least {row.takes - 1} times without an acknowledgement."
        with transaction.atomic():
            DeliveryTracker().bury(list(row.deliveries), cause=DeadCause.POISON, detail=detail)
            self._execute(ACK, [row])
        log.error("poison delivery buried", deliveries=[str(ids.uuid(key)) for key in row.deliveries])

    def _split(self, row: Row) -> None:
        """Into PARTS parts, each of which is tried again; of a delivery alone as often as the limit still allows. Never
        with a count of 0: a part is not put together with others."""
        size = -(-len(row.deliveries) // PARTS)
        together = self._allowed(row)
        counted = together if size == 1 else together - 1
        with direct_cursor() as cursor:
            cursor.execute(SPLIT, [row.id, row.takes, counted, size])
        log.warning(
            "a batch came back again and again; it now goes in parts", deliveries=len(row.deliveries), part=size
        )


def _id_of(rows: Sequence[Row]) -> UUID:
    """A message id for the logs: the same rows have the same id however often they are taken."""
    return UUID(int=rows[0].id)
