"""How a worker gets its batch: the claim, and the rare cases in which a delivery is not simply queued."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db.backends.utils import CursorWrapper

from notifications import bulk, erasure
from notifications.models.outbox import MAX_DELIVERIES
from notifications.services import tracking_sql as sql
from notifications.services.claims import Claim

log = structlog.get_logger(__name__)

Row = tuple[Any, ...]
#: Claims of a delivery after which a lost worker is put down to the delivery and no longer to chance.
SUSPECT_ATTEMPTS = 2


def take(
    cursor: CursorWrapper,
    deliveries: Sequence[UUID],
    lane: tuple[str, str],
    reclaimed: Callable[[list[Row]], list[Row]],
) -> list[Claim]:
    """Claim what is queued or left over by a lost worker, and read what sending needs; `lane` is (channel, priority).

    `reclaimed` is told of what was taken over, and returns what of it may be sent.
    """
    cursor.execute(sql.CLAIM, [settings.LEASE_SECONDS, bulk.uuid_array(deliveries)])
    rows = cursor.fetchall()
    if len(rows) < len(deliveries):
        missed = bulk.uuid_array(sorted(set(deliveries).difference(row[0] for row in rows)))
        cursor.execute(sql.HELD, [missed])
        held = cursor.fetchall()
        cursor.execute(sql.RECLAIM, [settings.LEASE_SECONDS, missed])
        if found := cursor.fetchall():
            rows += reclaimed(found)
        if held:
            wait_for_lease(cursor, held, lane)
    return _with_context(cursor, rows, lane) if rows else []


def wait_for_lease(cursor: CursorWrapper, held: Sequence[tuple[UUID, float, int]], lane: tuple[str, str]) -> None:
    """Schedule what another worker holds for the end of its lease. After a second crash each goes alone: one of them
    may be what kills the workers."""
    schedule = bulk.Schedule(MAX_DELIVERIES)
    longest = max(seconds for _, seconds, _ in held) + 1.0
    for id, _, attempts in held:
        if attempts < SUSPECT_ATTEMPTS:
            schedule.add(*lane, id, delay=longest)
        else:
            schedule.add_alone(*lane, id, delay=longest)
    schedule.write(cursor)
    log.info("worker.held_elsewhere", deliveries=len(held), seconds=round(longest))


def _with_context(cursor: CursorWrapper, rows: list[Row], lane: tuple[str, str]) -> list[Claim]:
    notifications = by_id(cursor, sql.NOTIFICATIONS, {row[1] for row in rows})
    recipients = by_id(cursor, sql.RECIPIENTS, {row[2] for row in rows})
    devices = by_id(cursor, sql.DEVICES, {row[3] for row in rows if row[3]})
    if gone := [row[1] for row in rows if row[2] not in recipients]:
        erasure.blank(cursor, gone)  # accepted while its recipient was being erased
    claims = [Claim(*lane, row, notifications.get(row[1]), recipients.get(row[2]), devices.get(row[3])) for row in rows]
    _doubt(cursor, [claim for claim in claims if claim.number > 1])
    return claims


def _doubt(cursor: CursorWrapper, again: Sequence[Claim]) -> None:
    """Note who may have taken these at an earlier attempt. In calm weather nothing is claimed twice."""
    if not again:
        return
    by_delivery = {claim.id: claim for claim in again}
    cursor.execute(sql.DOUBTS, [bulk.uuid_array(sorted(by_delivery)), sql.since(by_delivery)])
    for delivery, provider in cursor.fetchall():
        by_delivery[delivery].doubts += (provider,)


def by_id(cursor: CursorWrapper, query: str, wanted: Iterable[UUID]) -> dict[UUID, Row]:
    """The rows of a query that takes a list of ids and selects the id first."""
    ids = sorted(wanted)
    if not ids:
        return {}
    cursor.execute(query, [bulk.uuid_array(ids)])
    return {row[0]: row for row in cursor.fetchall()}
