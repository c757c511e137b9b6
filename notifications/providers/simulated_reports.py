"""What a simulated vendor reports later: put down when it takes a message, handed out when it is due."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from django.db import connection, transaction

from notifications.bulk import uuid_array
from notifications.choices import EventType
from notifications.services.claims import ProviderReceipt


class Report(NamedTuple):
    """A later word on a delivery, `delay` seconds from now."""

    delivery_id: UUID
    type: EventType
    delay: float


_SCHEDULE = """
    INSERT INTO notifications_simulatedreceipt (due_at, provider, delivery_id, type)
    SELECT now() + delay * interval '1 second', %s, id, type
      FROM unnest(%s::uuid[], %s::text[], %s::float8[]) AS report (id, type, delay)
"""

_TAKE_DUE = """
    DELETE FROM notifications_simulatedreceipt
     WHERE id IN (SELECT id FROM notifications_simulatedreceipt
                   WHERE due_at <= now() ORDER BY due_at LIMIT %s FOR UPDATE SKIP LOCKED)
    RETURNING delivery_id, type, provider
"""


def schedule(provider: str, reports: Sequence[Report]) -> None:
    """Write reports in one statement, by the database's clock. For threads other than the caller's own: it closes the
    connection it used, which goes back to the pool."""
    if not reports:
        return
    try:
        _write(provider, reports)
    finally:
        connection.close()


def postpone(receipts: Sequence[ProviderReceipt], seconds: float) -> None:
    """Put reports that were taken back, due later, in the transaction that took them."""
    for provider in sorted({receipt.provider for receipt in receipts}):
        _write(provider, [Report(r.delivery_id, r.type, seconds) for r in receipts if r.provider == provider])


def take_due(limit: int) -> list[ProviderReceipt]:
    """Take reports that are due, for the transaction that is open: they come back if it is undone. Several processes
    may take at once and share the work."""
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("Reports are taken inside the transaction that applies them.")
    with connection.cursor() as cursor:
        cursor.execute(_TAKE_DUE, [limit])
        return [
            ProviderReceipt(id, EventType(type), provider, detail=_WORDS.get(type, ""))
            for id, type, provider in cursor.fetchall()
        ]


#: What a vendor would add to its report, for the timeline.
_WORDS = {
    EventType.BOUNCED.value: "Simulated: 550 5.1.1, there is no such mailbox.",
    EventType.COMPLAINED.value: "Simulated: the recipient marked it as spam.",
}


def _write(provider: str, reports: Sequence[Report]) -> None:
    ids = uuid_array(report.delivery_id for report in reports)
    types = "{" + ",".join(report.type.value for report in reports) + "}"
    delays = "{" + ",".join(f"{report.delay:.3f}" for report in reports) + "}"
    with connection.cursor() as cursor:
        cursor.execute(_SCHEDULE, [provider, ids, types, delays])
