"""What digests carry, page by page. Of those that are on their way it is asked only where a source is held or being
cancelled, or where a cancel left its wish."""

from collections.abc import Collection, Iterator

from django.db.backends.utils import CursorWrapper

from core.ids import Key
from core.postgresql.direct import KeyArray
from notifications.services import tracking_sql as sql
from notifications.services.tracking_sql import of_record

#: What the source of a digest's notification begins with; the category follows.
SOURCE = "digest:"
#: Items looked at at a time, of all digests in question.
PAGE = 2000

_OF = "SELECT id, notification_id FROM notifications_digest WHERE notification_id = ANY($1::uuid[])"
#: The newest first. Read with a cursor of the server's, so that they are sorted once, however many there are.
_ITEMS = """
    DECLARE digest_items NO SCROLL CURSOR FOR
     SELECT digest_id, notification_id FROM notifications_digestitem
      WHERE digest_id = ANY($1::uuid[]) ORDER BY notification_id DESC
"""
_NEXT = f"FETCH {PAGE} FROM digest_items"
_END = "CLOSE digest_items"


def carried(cursor: CursorWrapper, notifications: Collection[Key], sources: Collection[str]) -> dict[Key, str]:
    """Of these notifications those that are digests with an item of one of `sources`, and which. In a transaction."""
    if not notifications:
        return {}
    digests = digests_of(cursor, notifications)
    found: dict[Key, str] = {}
    for page in pages(cursor, digests):
        origins = of_record(cursor, sql.SOURCES, [item for _, item in page])
        for digest, item in page:
            if item in origins and (source := origins[item][1]) in sources:
                found[digests[digest]] = source
    return found


def digests_of(cursor: CursorWrapper, notifications: Collection[Key]) -> dict[Key, Key]:
    """The digests among what these were sent as, each with its notification."""
    cursor.execute(_OF, [KeyArray.of(notifications)])
    return dict(cursor.fetchall())


def pages(cursor: CursorWrapper, digests: Collection[Key]) -> Iterator[list[tuple[Key, Key]]]:
    """(digest, notification) of all items, the newest first. In a transaction, and to its end."""
    if not digests:
        return
    cursor.execute(_ITEMS, [KeyArray.of(digests)])
    while True:
        cursor.execute(_NEXT)
        if page := cursor.fetchall():
            yield page
        if len(page) < PAGE:
            break
    cursor.execute(_END)
