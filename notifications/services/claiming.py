"""How a worker gets its batch: the claim, and the rare cases in which a delivery is not simply queued."""

from collections.abc import Callable, Collection, Sequence

import structlog
from django.conf import settings
from django.db.backends.utils import CursorWrapper

from core.ids import Key
from core.postgresql.direct import KeyArray
from notifications import bulk, erasure
from notifications.models.outbox import MAX_DELIVERIES
from notifications.services import tracking_sql as sql
from notifications.services.claims import Claim
from notifications.services.tracking_sql import Row, by_id, of_record

log = structlog.get_logger(__name__)

#: Claims of a delivery after which a lost worker is put down to the delivery and no longer to chance.
SUSPECT_ATTEMPTS = 2


def take(
    cursor: CursorWrapper,
    deliveries: Sequence[Key],
    lane: tuple[str, str],
    reclaimed: Callable[[list[Row]], list[Row]],
) -> list[Claim]:
    """Claim what is queued or left over by a lost worker, and read what sending needs; `lane` is (channel, priority).

    `reclaimed` is told of what was taken over, and returns what of it may be sent.
    """
    cursor.execute(sql.CLAIM, [float(settings.LEASE_SECONDS), *sql.within(deliveries)])
    rows = cursor.fetchall()
    if len(rows) < len(deliveries):
        missed = set(deliveries).difference(row[0] for row in rows)
        cursor.execute(sql.HELD, sql.within(missed))
        held = cursor.fetchall()
        if len(deliveries) > 1:
            missed -= _part(cursor, missed, lane)
        if missed:
            cursor.execute(sql.RECLAIM, [float(settings.LEASE_SECONDS), *sql.within(missed)])
            if found := cursor.fetchall():
                rows += reclaimed(found)
        if held:
            wait_for_lease(held, lane)
    return _with_context(cursor, rows, lane) if rows else []


def _part(cursor: CursorWrapper, deliveries: Collection[Key], lane: tuple[str, str]) -> set[Key]:
    """Of what lost workers left, those that are suspect by now: each comes again at once, alone. So it is, too, where
    a worker takes longer than a lease to come back, and finds them all in the message that the last one died of."""
    cursor.execute(sql.SUSPECTS, [*sql.within(deliveries), SUSPECT_ATTEMPTS])
    suspects = {row[0] for row in cursor.fetchall()}
    if suspects:
        schedule = bulk.Schedule(MAX_DELIVERIES)
        for id in sorted(suspects):
            schedule.add_alone(*lane, id, delay=0.0)
        schedule.write()
        log.warning("worker.parted", deliveries=len(suspects))
    return suspects


def wait_for_lease(held: Sequence[tuple[Key, float, int]], lane: tuple[str, str]) -> None:
    """Schedule what another worker holds for the end of its lease. After a second crash each goes alone: one of them
    may be what kills the workers."""
    schedule = bulk.Schedule(MAX_DELIVERIES)
    longest = max(seconds for _, seconds, _ in held) + 1.0
    for id, _, attempts in held:
        if attempts < SUSPECT_ATTEMPTS:
            schedule.add(*lane, id, delay=longest)
        else:
            schedule.add_alone(*lane, id, delay=longest)
    schedule.write()
    log.info("worker.held_elsewhere", deliveries=len(held), seconds=round(longest))


def _with_context(cursor: CursorWrapper, rows: list[Row], lane: tuple[str, str]) -> list[Claim]:
    notifications = of_record(cursor, sql.NOTIFICATIONS, {row[1] for row in rows})
    recipients = by_id(cursor, sql.RECIPIENTS, {row[2] for row in rows})
    devices = by_id(cursor, sql.DEVICES, {row[3] for row in rows if row[3]})
    if gone := [row[1] for row in rows if row[2] not in recipients]:
        erasure.blank(cursor, gone)  # accepted while its recipient was being erased
    claims = [Claim(lane, row, notifications.get(row[1]), recipients.get(row[2]), devices.get(row[3])) for row in rows]
    _doubt(cursor, [claim for claim in claims if claim.number > 1])
    return claims


def _doubt(cursor: CursorWrapper, again: Sequence[Claim]) -> None:
    """Note who may have taken these at an earlier attempt. In calm weather nothing is claimed twice."""
    if not again:
        return
    by_delivery = {claim.id: claim for claim in again}
    cursor.execute(sql.DOUBTS, [KeyArray.of(by_delivery), sql.since(by_delivery)])
    for delivery, provider in cursor.fetchall():
        by_delivery[delivery].doubts += (provider,)
