"""Links that no message on the record leads to any more."""

from django.conf import settings
from django.db import connection

#: Rows deleted in one statement, and statements in one call: the next call goes on.
BATCH, BATCHES = 10_000, 50
#: Days that a link is kept beyond the week of the last message with it. `used_on` is up to a day behind, a week of the
#: record ends up to seven days after the message, and a mail may be opened on the day its week is dropped.
MARGIN_DAYS = 14

_DELETE = """
    DELETE FROM analytics_trackedlink WHERE ctid = ANY(ARRAY(
           SELECT ctid FROM analytics_trackedlink WHERE used_on < current_date - %s::int LIMIT %s
              FOR UPDATE SKIP LOCKED))
"""


def purge() -> int:
    """Delete links that were last sent before the record begins (settings.RETENTION_WEEKS; 0: none); how many. At most
    BATCH * BATCHES in one call. Several may run at once."""
    weeks: int = settings.RETENTION_WEEKS
    deleted = 0
    for _ in range(BATCHES if weeks else 0):
        with connection.cursor() as cursor:
            cursor.execute(_DELETE, [weeks * 7 + MARGIN_DAYS, BATCH])
            found = cursor.rowcount
        deleted += found
        if found < BATCH:
            break
    return deleted
