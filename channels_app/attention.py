"""What people did with their items, for those who decide whether to tell them again."""

from collections.abc import Collection, Mapping

from core.ids import Key
from core.postgresql.direct import KeyArray, direct_cursor
from notifications.attention import Attention

#: Put away is dealt with, as read is; that the whole list was marked as read counts here, though not as opening.
_ATTENTION = """
    SELECT id, seen_at, least(read_at, archived_at) FROM channels_app_feeditem
     WHERE id = ANY($1::uuid[]) AND (seen_at IS NOT NULL OR read_at IS NOT NULL OR archived_at IS NOT NULL)
"""


def of(deliveries: Collection[Key]) -> Mapping[Key, Attention]:
    """See `notifications.attention.EngagementLookup`: seen is in sight, not merely fetched."""
    with direct_cursor() as cursor:
        cursor.execute(_ATTENTION, [KeyArray.of(deliveries)])
        return {id: Attention(seen_at, read_at) for id, seen_at, read_at in cursor.fetchall()}
