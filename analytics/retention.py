"""Counters of minutes that nobody asks about any more."""

from django.conf import settings
from django.db import connection

#: Rows deleted in one statement, and statements in one call: the next call goes on.
BATCH = 10_000
BATCHES = 50

#: The key begins with the minute, so the oldest rows are its first ones. Rows that somebody else deletes are skipped.
_DELETE = """
    DELETE FROM analytics_minutecount WHERE ctid = ANY(ARRAY(
           SELECT ctid FROM analytics_minutecount WHERE minute < now() - %s * interval '1 day'
            ORDER BY minute LIMIT %s FOR UPDATE SKIP LOCKED))
"""


def purge() -> int:
    """Delete counters older than `settings.COUNTS_RETENTION_DAYS` (0: none), oldest first; how many were deleted. At
    most BATCH * BATCHES in one call. Several may run at once."""
    days: int = settings.COUNTS_RETENTION_DAYS
    deleted = 0
    for _ in range(BATCHES if days else 0):
        with connection.cursor() as cursor:
            cursor.execute(_DELETE, [days, BATCH])
            found = cursor.rowcount
        deleted += found
        if found < BATCH:
            break
    return deleted
