"""Changes of preferences, and keywords of text messages, that are older than anybody asks about."""

from django.conf import settings
from django.db import connection

#: Rows deleted in one transaction, and transactions in one call: the next call goes on.
BATCH = 5_000
BATCHES = 100

_CHANGES = """
    DELETE FROM preferences_changerecord WHERE id IN (
        SELECT id FROM preferences_changerecord
         WHERE at < now() - %s * interval '1 day' ORDER BY at LIMIT %s FOR UPDATE SKIP LOCKED)
"""
# What was said before something later is of no use; what still holds is the proof of it, and stays.
_KEYWORDS = """
    DELETE FROM preferences_heardkeyword WHERE id IN (
        SELECT id FROM preferences_heardkeyword h
         WHERE heard_at < now() - %s * interval '1 day'
           AND EXISTS (SELECT 1 FROM preferences_heardkeyword later
                        WHERE later.address_hash = h.address_hash AND later.said_at > h.said_at)
         ORDER BY heard_at LIMIT %s FOR UPDATE SKIP LOCKED)
"""


#: Links that were sent to people and are good for nothing any more: they name addresses that may be nobody's.
_FORGET_LINKS = """
    DELETE FROM preferences_sentlink WHERE id IN (
        SELECT id FROM preferences_sentlink WHERE sent_at < now() - interval '1 day' LIMIT %s FOR UPDATE SKIP LOCKED)
"""


def purge() -> int:
    """Delete what is older than `settings.PREFERENCE_HISTORY_DAYS` (0: nothing), oldest first, in short transactions;
    how much was deleted. At most BATCH * BATCHES of each in one call. Several may run at once."""
    with connection.cursor() as cursor:
        cursor.execute(_FORGET_LINKS, [BATCH])
    return _purge(_CHANGES) + _purge(_KEYWORDS)


def _purge(statement: str) -> int:
    days: int = settings.PREFERENCE_HISTORY_DAYS
    deleted = 0
    for _ in range(BATCHES if days else 0):
        with connection.cursor() as cursor:
            cursor.execute(statement, [days, BATCH])
            found = cursor.rowcount
        deleted += found
        if found < BATCH:
            break
    return deleted
