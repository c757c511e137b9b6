"""What changes an open digest besides its items: a cancel, a person's word, an operator; and the end of closed ones."""

from collections.abc import Collection
from uuid import UUID

from django.conf import settings
from django.contrib.postgres.functions import TransactionNow
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models import Q
from django.db.models.functions import Collate

from core.ids import Key
from core.postgresql.direct import KeyArray
from notifications.models.digest import Digest, DigestState
from notifications.services.tracking_sql import brothers_range

#: Rows of closed digests that are removed at a time.
PURGE = 2000

#: First the digests are locked, as closing does and in the order of gathering: whoever comes second finds one closed,
#: or the item gone.
_HELD_ITEMS = """
    SELECT i.notification_id, d.id FROM notifications_digestitem i JOIN notifications_digest d ON d.id = i.digest_id
     WHERE i.notification_id = ANY($1::uuid[]) AND d.state = 'open'
     ORDER BY d.recipient_id, d.category_id, d.key COLLATE "C" FOR UPDATE OF d
"""
_DROP_ITEMS = "DELETE FROM notifications_digestitem WHERE notification_id = ANY($1::uuid[])"
_LESS = """
    UPDATE notifications_digest d SET count = greatest(d.count - n.items, 0)
      FROM (SELECT id, count(*) AS items FROM unnest($1::uuid[]) AS id GROUP BY id) n WHERE d.id = n.id
"""
#: Parameters: notifications, the range of their deliveries.
_CANCEL_WAITING = """
    UPDATE notifications_delivery SET skip_reason = 'cancelled'
     WHERE notification_id = ANY($1::uuid[]) AND id BETWEEN $2 AND $3
       AND status = 'skipped' AND skip_reason = 'digested'
 RETURNING id, notification_id, channel
"""


def take_out(cursor: CursorWrapper, notifications: Collection[Key]) -> list[tuple[Key, Key, str]]:
    """Take these out of the digests in which they wait; the (delivery, notification, channel) that are cancelled by
    this, none of those that wait in none."""
    cursor.execute(_HELD_ITEMS, [KeyArray.of(notifications)])
    held: list[tuple[Key, Key]] = cursor.fetchall()
    if not held:
        return []
    items = [notification for notification, _ in held]
    cursor.execute(_DROP_ITEMS, [KeyArray.of(items)])
    cursor.execute(_LESS, [KeyArray.of([digest for _, digest in held])])
    cursor.execute(_CANCEL_WAITING, [KeyArray.of(items), *brothers_range(items)])
    rows: list[tuple[Key, Key, str]] = cursor.fetchall()
    return rows


def send_now(which: Q) -> int:
    """Have these digests leave now, whatever their moment; how many were open."""
    with transaction.atomic():
        # Locked in the order in which acceptance locks them, so that neither can deadlock with the other.
        order = "recipient_id", "category_id", Collate("key", "C")
        some = Digest.objects.filter(which, state=DigestState.OPEN).order_by(*order).select_for_update()
        found = list(some.values_list("pk", flat=True))
        return Digest.objects.filter(pk__in=found).update(closes_at=TransactionNow(), latest_at=None)


def leave_now(*, recipient_id: UUID, category_ids: frozenset[int] | None, **_: object) -> None:
    """Receiver of `digests_changed`: what was gathered by the old rhythm leaves, and the new one begins."""
    which = Q(recipient_id=recipient_id)
    send_now(which if category_ids is None else which & Q(category_id__in=category_ids))


def forget(*, recipient_id: UUID, **_: object) -> None:
    """Receiver of `recipient_erased`."""
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH gone AS (DELETE FROM notifications_digest WHERE recipient_id = %s RETURNING id)"
            " DELETE FROM notifications_digestitem USING gone WHERE digest_id = gone.id",
            [recipient_id],
        )


def purge() -> None:
    """Remove digests that closed more than DIGEST_RETENTION_DAYS ago; 0 keeps them."""
    if not settings.DIGEST_RETENTION_DAYS:
        return
    with connection.cursor() as cursor:
        while True:
            cursor.execute(
                "WITH gone AS (DELETE FROM notifications_digest WHERE id IN (SELECT id FROM notifications_digest"
                " WHERE state <> 'open' AND closed_at < now() - %s * interval '1 day' LIMIT %s) RETURNING id),"
                " items AS (DELETE FROM notifications_digestitem USING gone WHERE digest_id = gone.id)"
                " SELECT count(*) FROM gone",
                [settings.DIGEST_RETENTION_DAYS, PURGE],
            )
            if cursor.fetchone()[0] < PURGE:
                return
