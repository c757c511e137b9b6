"""What the pipeline forgets when a recipient is erased: everything they were told, and no more than that.

The rows stay, because counts and the ledger stand on them: who (an id that now leads nowhere), when, on which channel
and with what outcome. Work that is not done is cancelled, so the claim skips it.
"""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.backends.utils import CursorWrapper

from core.ids import Key
from core.postgresql.direct import KeyArray

#: What a notification says about a person, and the same with nothing said.
_BLANK = "data = '{}', content = NULL, metadata = '{}', dedup_key = ''"
_NOT_BLANK = "(data::text <> '{}' OR content IS NOT NULL OR metadata::text <> '{}' OR dedup_key <> '')"

#: The recipient's notifications, by the index (recipient, id); whatever their number, it is one statement each.
_THEIRS = "SELECT id FROM notifications_notification WHERE recipient_id = %(recipient_id)s"
_SCRUB_NOTIFICATIONS = f"""
    UPDATE notifications_notification n
       SET {_BLANK},
           cancelled_at = CASE WHEN EXISTS (
               SELECT 1 FROM notifications_delivery d
                WHERE d.notification_id = n.id AND d.status IN ('queued', 'sending', 'dead')
           ) THEN coalesce(n.cancelled_at, now()) ELSE n.cancelled_at END
     WHERE n.recipient_id = %(recipient_id)s
"""
_SCRUB_EVENTS = f"""
    UPDATE notifications_deliveryevent e SET detail = ''
      FROM notifications_delivery d
     WHERE d.notification_id IN ({_THEIRS}) AND e.delivery_id = d.id AND e.detail <> ''
"""
_SCRUB_DEAD_LETTERS = f"""
    UPDATE notifications_deadletter l SET detail = ''
      FROM notifications_delivery d
     WHERE d.notification_id IN ({_THEIRS}) AND l.delivery_id = d.id AND l.detail <> ''
"""
#: Addresses and words as a simulated provider received them; nothing is counted by these.
_FORGET_CALLS = "DELETE FROM notifications_simulatedcall WHERE recipient_id = %(recipient_id)s"


def scrub(*, recipient_id: UUID, **_: Any) -> None:
    """Receiver of `recipient_erased`; runs in the erasing transaction. A vendor's detail may quote an address, so it
    goes as well."""
    with connection.cursor() as cursor:
        for statement in (_SCRUB_NOTIFICATIONS, _SCRUB_EVENTS, _SCRUB_DEAD_LETTERS, _FORGET_CALLS):
            cursor.execute(statement, {"recipient_id": recipient_id})


def blank(cursor: CursorWrapper, notification_ids: Iterable[Key]) -> int:
    """On a direct cursor: remove the words of these notifications, and how many still had any. For those that were
    accepted while their recipient was being erased."""
    cursor.execute(
        f"UPDATE notifications_notification SET {_BLANK} WHERE id = ANY($1::uuid[]) AND {_NOT_BLANK}",
        [KeyArray.of(notification_ids)],
    )
    blanked: int = cursor.rowcount
    return blanked
