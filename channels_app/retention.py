"""Feed items that are older than anybody scrolls."""

from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction

from core import ids
from notifications.bulk import uuid_array

#: Items deleted in one transaction, and transactions in one call: the next call goes on.
BATCH = 1_000
BATCHES = 200

#: By the primary key: an item's id is its delivery's and was made before the item, so what has a younger id is younger.
#: The item's own time counts, because a delivery may have waited a year for its moment.
_OLD = """
    SELECT id, recipient_id FROM channels_app_feeditem
     WHERE id < %s AND created_at < %s ORDER BY id LIMIT %s
"""

#: Counts and pages change, so open tabs must look again. Locked as every writer does it: cursors first, in order.
_MOVE_VERSIONS = """
    WITH locked AS MATERIALIZED (
        SELECT recipient_id FROM channels_app_feedcursor WHERE recipient_id = ANY(%s::uuid[])
         ORDER BY recipient_id FOR NO KEY UPDATE
    )
    UPDATE channels_app_feedcursor c SET version = c.version + 1
      FROM locked WHERE c.recipient_id = locked.recipient_id
"""

_DELETE = "DELETE FROM channels_app_feeditem WHERE id = ANY(%s::uuid[])"


def purge() -> int:
    """Delete items older than `settings.FEED_RETENTION_DAYS` (0: none), oldest first, in short transactions; how many
    were deleted. At most BATCH * BATCHES in one call. Several may run at once."""
    days: int = settings.FEED_RETENTION_DAYS
    if not days:
        return 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        before: datetime = cursor.fetchone()[0] - timedelta(days=days)
    deleted = 0
    for _ in range(BATCHES):
        found = _batch(before)
        deleted += found
        if found < BATCH:
            break
    return deleted


def _batch(before: datetime) -> int:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_OLD, [str(ids.floor(before)), before, BATCH])
        rows: list[tuple[UUID, UUID]] = cursor.fetchall()
        if not rows:
            return 0
        cursor.execute(_MOVE_VERSIONS, [uuid_array(sorted({row[1] for row in rows}))])
        cursor.execute(_DELETE, [uuid_array(row[0] for row in rows)])
    return len(rows)
