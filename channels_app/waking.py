"""Snoozed items whose time has come: they come back as new ones do, at the top, unread, and live."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from uuid import UUID

from django.db import connection, transaction
from django.db.models.functions import Now

from channels_app import frames, provider
from channels_app.models import FeedItem
from notifications.bulk import uuid_array

#: Items woken in one transaction, and transactions in one call: the next call, a second later, goes on.
BATCH = 500
BATCHES = 20

_DUE = """
    SELECT id, recipient_id FROM channels_app_feeditem
     WHERE snoozed_until <= now() AND archived_at IS NULL ORDER BY snoozed_until LIMIT %s
"""

#: As every writer does it: cursors first, in order.
_LOCK = """
    SELECT recipient_id, last_seq FROM channels_app_feedcursor WHERE recipient_id = ANY(%s::uuid[])
     ORDER BY recipient_id FOR NO KEY UPDATE
"""

_WAKE = """
    UPDATE channels_app_feeditem f
       SET seq = n.seq, woken_at = now(), snoozed_until = NULL, read_at = NULL, seen_at = NULL
      FROM unnest(%s::uuid[], %s::bigint[]) AS n (id, seq)
     WHERE f.id = n.id
"""

_MOVE_ON = """
    UPDATE channels_app_feedcursor c SET last_seq = n.last_seq, version = c.version + 1
      FROM unnest(%s::uuid[], %s::bigint[]) AS n (recipient_id, last_seq)
     WHERE c.recipient_id = n.recipient_id
    RETURNING c.recipient_id, c.version
"""


def wake() -> int:
    """Wake what is due, longest due first, in short transactions, and tell open tabs; how many items woke up. At most
    BATCH * BATCHES in one call. Several may run at once: an item wakes once."""
    woken = 0
    for _ in range(BATCHES):
        with connection.cursor() as cursor:
            cursor.execute(_DUE, [BATCH])
            due: list[tuple[UUID, UUID]] = cursor.fetchall()
        if due:
            items, versions = _batch(due)
            provider.push(items, versions, lambda item: (item.seq, frames.item(item)))
            woken += sum(map(len, items.values()))
        if len(due) < BATCH:
            break
    return woken


def _batch(due: Sequence[tuple[UUID, UUID]]) -> tuple[Mapping[UUID, Sequence[FeedItem]], Mapping[UUID, int]]:
    """The items that woke up by their owner, in the order of their new numbers, and the owners' new versions."""
    people = uuid_array(sorted({owner for _, owner in due}))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_LOCK, [people])
        last: dict[UUID, int] = dict(cursor.fetchall())
        # Younger than the locks: what was archived, put off again or woken by another meanwhile is not among them.
        still = FeedItem.objects.filter(id__in=[id for id, _ in due], snoozed_until__lte=Now(), archived_at=None)
        rows = [row for row in still.order_by("recipient_id", "snoozed_until", "seq") if row.recipient_id in last]
        if not rows:
            return {}, {}
        for row in rows:
            last[row.recipient_id] += 1
            row.seq = last[row.recipient_id]
        cursor.execute(_WAKE, [uuid_array(row.id for row in rows), [row.seq for row in rows]])
        owners = sorted({row.recipient_id for row in rows})
        cursor.execute(_MOVE_ON, [uuid_array(owners), [last[owner] for owner in owners]])
        versions: dict[UUID, int] = dict(cursor.fetchall())
        awake = FeedItem.objects.filter(id__in=[row.id for row in rows]).order_by("recipient_id", "seq")
        return {owner: list(items) for owner, items in groupby(awake, key=lambda item: item.recipient_id)}, versions
