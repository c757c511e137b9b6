"""What changes an open digest besides its items: a person's word, an operator; and the end of closed ones."""

from uuid import UUID

from django.conf import settings
from django.contrib.postgres.functions import TransactionNow
from django.db import connection, transaction
from django.db.models import Q
from django.db.models.functions import Collate

from notifications.models.digest import Digest, DigestState

#: Rows of closed digests that are removed at a time.
PURGE = 2000


def send_now(which: Q) -> int:
    """Have these digests leave now, whatever their moment; how many were open."""
    with transaction.atomic():
        # Locked in the order in which acceptance and a cancel lock them, so that neither can deadlock with the other.
        order = "recipient_id", "category_id", Collate("key", "C"), "pk"
        some = Digest.objects.filter(which, state=DigestState.OPEN).order_by(*order).select_for_update()
        found = list(some.values_list("pk", flat=True))
        return Digest.objects.filter(pk__in=found).update(closes_at=TransactionNow(), latest_at=None)


def leave_now(*, recipient_id: UUID, category_ids: frozenset[int] | None, **_: object) -> None:
    """Receiver of `digests_changed`: what was gathered by the old rhythm leaves, and the new one begins."""
    which = Q(recipient_id=recipient_id)
    send_now(which if category_ids is None else which & Q(category_id__in=category_ids))


def forget(*, recipient_id: UUID, **_: object) -> None:
    """Receiver of `recipient_erased`. The digests are locked in everybody's order, and before their notifications. Only
    then are the items looked for: a statement that waits for what adds one does not see it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM notifications_digest WHERE recipient_id = %s"
            ' ORDER BY category_id, key COLLATE "C", id FOR UPDATE',
            [recipient_id],
        )
        if theirs := [id for (id,) in cursor.fetchall()]:
            cursor.execute("DELETE FROM notifications_digestitem WHERE digest_id = ANY(%s)", [theirs])
            cursor.execute("DELETE FROM notifications_digest WHERE id = ANY(%s)", [theirs])


def purge() -> None:
    """Remove digests that closed more than DIGEST_RETENTION_DAYS ago; 0 keeps them."""
    if not settings.DIGEST_RETENTION_DAYS:
        return
    with connection.cursor() as cursor:
        while True:
            cursor.execute(
                "WITH gone AS (DELETE FROM notifications_digest WHERE id IN (SELECT id FROM notifications_digest"
                " WHERE state <> 'open' AND closed_at < now() - %s * interval '1 day' LIMIT %s FOR UPDATE SKIP LOCKED)"
                " RETURNING id),"
                " items AS (DELETE FROM notifications_digestitem USING gone WHERE digest_id = gone.id)"
                " SELECT count(*) FROM gone",
                [settings.DIGEST_RETENTION_DAYS, PURGE],
            )
            if cursor.fetchone()[0] < PURGE:
                return
