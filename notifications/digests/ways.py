"""What became of digests that are closed, by channel: one is to leave yet, is with a worker, has left or may have."""

from collections.abc import Collection, Mapping

import msgspec
from django.db.backends.utils import CursorWrapper

from core.ids import Key
from core.postgresql.direct import KeyArray
from notifications.choices import FailureCode, Status
from notifications.services import tracking_sql as sql
from notifications.services.tracking_sql import brothers_range

_DELIVERIES = """
    SELECT id, notification_id, channel, status, attempts > 0, error_code FROM notifications_delivery
     WHERE notification_id = ANY($1::uuid[]) AND id BETWEEN $2 AND $3
       AND status IN ('queued', 'sending', 'dead', 'sent', 'delivered', 'bounced')
"""
_LEFT = frozenset({Status.SENT.value, Status.DELIVERED.value, Status.BOUNCED.value})
#: Nobody knows whether the provider took it.
_UNKNOWN = frozenset({FailureCode.TIMEOUT.value, FailureCode.INTERNAL.value})


class Way(msgspec.Struct):
    """A channel of one digest, which by push may have several devices. `is_open`: something may go out yet: queued, in
    a worker's hands, or given up and perhaps replayed. `has_left`: to one device at least, so its person knows.
    `may_have_left`: nobody knows what became of an earlier attempt."""

    is_open: bool = False
    is_in_hand: bool = False
    has_left: bool = False
    may_have_left: bool = False

    @property
    def is_free(self) -> bool:
        """What goes by it can be taken out: nobody has it, and nobody will get it as it was."""
        return self.is_open and not (self.is_in_hand or self.has_left)


def ways_of(
    cursor: CursorWrapper, notifications: Collection[Key], back: Collection[Key] = ()
) -> dict[Key, dict[str, Way]]:
    """The ways of what digests were sent as. The deliveries `back` were in a worker's hands, and are not any more."""
    if not notifications:
        return {}
    cursor.execute(_DELIVERIES, [KeyArray.of(notifications), *brothers_range(notifications)])
    found: dict[Key, dict[str, Way]] = {}
    tried: dict[Key, Way] = {}
    for id, notification, channel, status, is_tried, error in cursor.fetchall():
        way = found.setdefault(notification, {}).setdefault(channel, Way())
        if status in _LEFT:
            way.has_left = True
            continue
        way.is_open = True
        if status == Status.SENDING and id not in back:
            way.is_in_hand = True
        elif status == Status.DEAD and error in _UNKNOWN:
            way.may_have_left = True
        elif is_tried:
            tried[id] = way
    _doubt(cursor, tried)
    return found


def _doubt(cursor: CursorWrapper, tried: Mapping[Key, Way]) -> None:
    if not tried:
        return
    cursor.execute(sql.DOUBTS, [KeyArray.of(tried), sql.since(tried)])
    for delivery, _ in cursor.fetchall():
        tried[delivery].may_have_left = True
