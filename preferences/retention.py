"""Changes of preferences that are older than anybody asks about."""

from django.conf import settings
from django.db import connection

#: Rows deleted in one transaction, and transactions in one call: the next call goes on.
BATCH = 5_000
BATCHES = 100

_DELETE = """
    DELETE FROM preferences_changerecord WHERE id IN (
        SELECT id FROM preferences_changerecord
         WHERE at < now() - %s * interval '1 day' ORDER BY at LIMIT %s FOR UPDATE SKIP LOCKED)
"""


#: Links that were sent to people and are good for nothing any more: they name addresses that may be nobody's.
_FORGET_LINKS = """
    DELETE FROM preferences_sentlink WHERE id IN (
        SELECT id FROM preferences_sentlink WHERE sent_at < now() - interval '1 day' LIMIT %s FOR UPDATE SKIP LOCKED)
"""


def purge() -> int:
    """Delete changes older than `settings.PREFERENCE_HISTORY_DAYS` (0: none), oldest first, in short transactions; how
    many were deleted. At most BATCH * BATCHES in one call. Several may run at once."""
    with connection.cursor() as cursor:
        cursor.execute(_FORGET_LINKS, [BATCH])
    days: int = settings.PREFERENCE_HISTORY_DAYS
    deleted = 0
    for _ in range(BATCHES if days else 0):
        with connection.cursor() as cursor:
            cursor.execute(_DELETE, [days, BATCH])
            found = cursor.rowcount
        deleted += found
        if found < BATCH:
            break
    return deleted
