"""What the delivery log forgets when a recipient is erased: what endpoints answered. A receiver may repeat what it was
told, and that named the person. The rest of the log is ids and codes."""

from typing import Any
from uuid import UUID

from django.db import connection

#: By the indexes (recipient, id) of notifications, (notification) of messages and (message) of the log.
_SCRUB = """
    UPDATE analytics_webhookattempt SET answer = ''
     WHERE answer <> '' AND message_id IN (
           SELECT message.id FROM notifications_notification notification
             JOIN analytics_webhookmessage message ON message.notification_id = notification.id
            WHERE notification.recipient_id = %s)
"""


def scrub(*, recipient_id: UUID, **_: Any) -> None:
    """Receiver of `recipient_erased`; runs in the erasing transaction."""
    with connection.cursor() as cursor:
        cursor.execute(_SCRUB, [recipient_id])
