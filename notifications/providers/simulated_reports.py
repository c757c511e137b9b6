"""What a simulated vendor will report: put down when it takes a message, handed to its courier when it is due.

A report that was handed out and neither settled nor put off comes back by itself: its courier was lost.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple
from uuid import UUID

from django.db import connection

from notifications.bulk import uuid_array
from notifications.choices import EventType

#: A courier that was handed a report has so long, in seconds; longer than a call can take.
LEASE_SECONDS = 60


class Report(NamedTuple):
    """A later word on a delivery, `delay` seconds from now."""

    delivery_id: UUID
    type: EventType
    delay: float


class Due(NamedTuple):
    """A report to be delivered now."""

    id: int
    provider: str
    delivery_id: UUID
    type: EventType


_SCHEDULE = """
    INSERT INTO notifications_simulatedreceipt (due_at, provider, delivery_id, type)
    SELECT now() + delay * interval '1 second', %s, id, type
      FROM unnest(%s::uuid[], %s::text[], %s::float8[]) AS report (id, type, delay)
"""

_HAND_OUT = f"""
    UPDATE notifications_simulatedreceipt SET due_at = now() + interval '{LEASE_SECONDS} seconds'
     WHERE id = ANY(ARRAY(
           SELECT id FROM notifications_simulatedreceipt
            WHERE due_at <= now() ORDER BY due_at LIMIT %s FOR UPDATE SKIP LOCKED))
 RETURNING id, provider, delivery_id, type
"""

_SETTLE = "DELETE FROM notifications_simulatedreceipt WHERE id = ANY(%s)"

_PUT_OFF = """
    UPDATE notifications_simulatedreceipt SET due_at = now() + %s * interval '1 second' WHERE id = ANY(%s)
"""


def schedule(provider: str, reports: Sequence[Report]) -> None:
    """Write reports in one statement, by the database's clock. For threads other than the caller's own: it closes the
    connection it used, which goes back to the pool."""
    if not reports:
        return
    ids = uuid_array(report.delivery_id for report in reports)
    types = "{" + ",".join(report.type.value for report in reports) + "}"
    delays = "{" + ",".join(f"{report.delay:.3f}" for report in reports) + "}"
    try:
        with connection.cursor() as cursor:
            cursor.execute(_SCHEDULE, [provider, ids, types, delays])
    finally:
        connection.close()


def hand_out(limit: int) -> list[Due]:
    """Reports that are due, for LEASE_SECONDS. Several couriers may ask and share the work."""
    with connection.cursor() as cursor:
        cursor.execute(_HAND_OUT, [limit])
        return [Due(id, provider, delivery, EventType(type)) for id, provider, delivery, type in cursor.fetchall()]


def settle(reports: Iterable[Due]) -> None:
    """These were delivered."""
    if ids := [report.id for report in reports]:
        with connection.cursor() as cursor:
            cursor.execute(_SETTLE, [ids])


def put_off(reports: Iterable[Due], *, seconds: float) -> None:
    """These were not: they are due again after so long."""
    if ids := [report.id for report in reports]:
        with connection.cursor() as cursor:
            cursor.execute(_PUT_OFF, [seconds, ids])
