"""Which categories a person's inbox has, for its tabs."""

from dataclasses import dataclass
from uuid import UUID

from django.db import connection

from channels_app.store import COUNT_CAP

#: As far as the counts look, so that a feed of a million items costs the same.
_CATEGORIES = """
    SELECT s.category, coalesce(max(c.name), ''), count(*), count(*) FILTER (WHERE s.read_at IS NULL)
      FROM (SELECT category, read_at FROM channels_app_feeditem
             WHERE recipient_id = %s AND archived_at IS NULL
               AND (snoozed_until IS NULL OR snoozed_until <= now())
             ORDER BY seq DESC LIMIT %s) s
      LEFT JOIN preferences_category c ON c.slug = s.category
     GROUP BY s.category
     ORDER BY 2, 1
"""


@dataclass(frozen=True, slots=True)
class FeedCategory:
    """A category of a feed. `name` is its present one, empty when the category was deleted; `items` are neither
    archived nor asleep, `unread` are a part of them."""

    slug: str
    name: str
    items: int
    unread: int


def of(recipient_id: UUID) -> list[FeedCategory]:
    """The categories of a person's newest COUNT_CAP items, by name."""
    with connection.cursor() as cursor:
        cursor.execute(_CATEGORIES, [recipient_id, COUNT_CAP])
        return [FeedCategory(*row) for row in cursor.fetchall()]
