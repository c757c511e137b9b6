"""What was cancelled while its digest was in a worker's hands: taken out when that comes back unsent.

The cancel left a mark on the digest, its wish, so that without one nothing is looked at. A worker locks what comes back
as a cancel does: digests first. So the wish stays as it was read, and of two channels or devices of one digest that
come back at once the second sees what became of the first. What a lost worker left is locked the other way round, as
only taking it over tells what it is; should that come to a deadlock, both sides begin anew.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from django.db.backends.utils import CursorWrapper

from core.ids import Key
from core.postgresql.direct import KeyArray
from notifications.digests.sources import pages
from notifications.digests.taking_back import CANCEL_WAITING, WAITING, brothers
from notifications.digests.ways import ways_of
from notifications.services.claims import Back
from notifications.services.tracking_sql import of_record, within

_LOCK = """
    SELECT id, notification_id, has_wish FROM notifications_digest WHERE notification_id = ANY($1::uuid[])
     ORDER BY recipient_id, category_id, key COLLATE "C", id FOR UPDATE
"""
_CANCELLED = """
    SELECT id FROM notifications_notification
     WHERE id = ANY($1::uuid[]) AND id BETWEEN $2 AND $3 AND cancelled_at IS NOT NULL
"""
_FULFILLED = "UPDATE notifications_digest SET has_wish = FALSE WHERE id = ANY($1::uuid[])"


class Late(NamedTuple):
    """A delivery that is cancelled at last. `may_have_left`: nobody knows whether it went with its digest."""

    delivery: Key
    notification: Key
    channel: str
    may_have_left: bool


def locked(cursor: CursorWrapper, notifications: Collection[Key]) -> Mapping[Key, Key]:
    """Lock the digests among what these were sent as; those with a wish, each with its notification."""
    if not notifications:
        return {}
    cursor.execute(_LOCK, [KeyArray.of(notifications)])
    return {digest: notification for digest, notification, has_wish in cursor.fetchall() if has_wish}


def take_out_late(cursor: CursorWrapper, wished: Mapping[Key, Key], back: Collection[Back]) -> list[Late]:
    """What was cancelled of the digests `wished` (`locked`), on the channels by which they came back. They say nothing
    of it any more. On a channel that is with another worker, or has reached another device, it stays."""
    cancelled: dict[Key, Key] = {}
    for page in pages(cursor, wished):
        found = of_record(cursor, _CANCELLED, [item for _, item in page])
        cancelled.update((item, wished[digest]) for digest, item in page if item in found)
    waiting = _waiting(cursor, cancelled)
    came = {(one.notification, one.channel) for one in back}
    mine = [row for row in waiting if (cancelled[row[1]], row[2]) in came]
    ways = ways_of(cursor, {cancelled[row[1]] for row in mine}, {one.delivery for one in back})
    late: list[Late] = []
    for delivery, item, channel in mine:
        way = ways[cancelled[item]][channel]
        if way.is_free:
            late.append(Late(delivery, item, channel, way.may_have_left))
    if late:
        cursor.execute(CANCEL_WAITING, within([one.delivery for one in late]))
    taken = {one.delivery for one in late}
    open_ = {cancelled[item] for delivery, item, _ in waiting if delivery not in taken}
    if done := [digest for digest, notification in wished.items() if notification not in open_]:
        cursor.execute(_FULFILLED, [KeyArray.of(done)])
    return late


def _waiting(cursor: CursorWrapper, items: Collection[Key]) -> list[tuple[Key, Key, str]]:
    if not items:
        return []
    cursor.execute(WAITING, brothers(items))
    rows: list[tuple[Key, Key, str]] = cursor.fetchall()
    return rows
