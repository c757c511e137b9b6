"""The simulated vendors' books: every call as it was received and answered, for tests and for people to read."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.utils import timezone

from core import ids
from notifications import bulk
from notifications.providers.base import Failure, OutboundMessage, Outcome
from notifications.providers.journal import ACCEPTED

#: Addresses and words are kept no longer than this, however few there are.
KEEP = timedelta(days=7)
#: A call may be noted a moment after its recipient was erased; for so long it is looked for again.
LATE = timedelta(hours=1)
#: Rows deleted at a time.
PIECE = 10_000

_COLUMNS = (
    "id, provider, delivery_id, recipient_id, attempt, is_test, address, platform, category, content, headers,"
    " outcome, retry_after"
)
_OLD = """
    DELETE FROM notifications_simulatedcall
     WHERE id IN (SELECT id FROM notifications_simulatedcall WHERE id <= %s ORDER BY id LIMIT %s)
"""
_NEWEST_TOO_MANY = "SELECT id FROM notifications_simulatedcall ORDER BY id DESC OFFSET %s LIMIT 1"
_ERASED = """
    DELETE FROM notifications_simulatedcall c
     WHERE c.id >= %s AND NOT EXISTS (SELECT FROM preferences_recipient r WHERE r.id = c.recipient_id)
"""


def record(provider: str, calls: Iterable[tuple[OutboundMessage, Outcome]]) -> None:
    """Write calls by one COPY. For threads other than the caller's own: it closes the connection it used, which goes
    back to the pool. Raises what PostgreSQL raises."""
    lines = [_line(provider, message, outcome) for message, outcome in calls]
    try:
        with connection.cursor() as cursor:
            bulk.copy(cursor, "notifications_simulatedcall", _COLUMNS, lines)
    finally:
        connection.close()


def word(outcome: Outcome) -> str:
    """An outcome as the books have it: accepted, or why not."""
    return outcome.code.value if isinstance(outcome, Failure) else ACCEPTED


def prune() -> Iterator[None]:
    """What is old, what is beyond the newest SIMULATOR_KEEP_CALLS, and what came after its recipient was erased; in
    pieces. A task of maintenance."""
    now = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(_ERASED, [ids.floor(now - LATE)])
        cursor.execute(_NEWEST_TOO_MANY, [settings.SIMULATOR_KEEP_CALLS])
        row = cursor.fetchone()
    yield
    limit = max(ids.floor(now - KEEP), row[0]) if row else ids.floor(now - KEEP)
    while _delete_up_to(limit) == PIECE:
        yield


def _delete_up_to(limit: UUID) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_OLD, [limit, PIECE])
        deleted: int = cursor.rowcount
    return deleted


def _line(provider: str, message: OutboundMessage, outcome: Outcome) -> str:
    wait = outcome.retry_after if isinstance(outcome, Failure) else None
    fields = (
        str(ids.uuid7()),
        provider,
        str(message.delivery_id),
        str(message.recipient_id),
        str(message.attempt),
        "t" if message.is_test else "f",
        bulk.text(message.address),
        bulk.text(message.platform),
        bulk.text(message.category),
        bulk.json(message.content),
        bulk.json(message.headers),
        word(outcome),
        bulk.NULL if wait is None else repr(wait),
    )
    return "\t".join(fields)
