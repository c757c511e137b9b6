"""How the deliveries of notifications with a plan stand: one query for a batch, and one for the inbox."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import NamedTuple

from django.conf import settings
from django.db.backends.utils import CursorWrapper

from core.ids import Key
from core.postgresql.direct import KeyArray
from notifications import registry
from notifications.attention import Attention
from notifications.choices import Channel, Status
from notifications.services import tracking_sql as sql
from notifications.strategies.deciding import Leg
from notifications.strategies.plan import Plan, decode

_IN_APP = Channel.IN_APP.value
_IN_FEED = frozenset({Status.SENDING.value, Status.SENT.value, Status.DELIVERED.value})

#: Parameters: notifications, the range of their deliveries.
_LEGS = """
    SELECT notification_id, id, channel, status, attempts - holds, provider, sent_at, delivered_at, opened_at,
           clicked_at, priority
      FROM notifications_delivery WHERE notification_id = ANY($1::uuid[]) AND id BETWEEN $2 AND $3
     ORDER BY id
"""
_PLANS = "SELECT id, plan::text FROM notifications_notification WHERE id = ANY($1::uuid[]) AND plan IS NOT NULL"


class Standing(NamedTuple):
    """The legs of one notification, and the lane's priority that they share."""

    legs: list[Leg]
    priority: str


def of(cursor: CursorWrapper, notifications: Collection[Key], deliveries: Collection[Key]) -> dict[Key, Standing]:
    """By notification; `deliveries` are some of theirs, from which the others' ids are known to be near."""
    cursor.execute(_LEGS, [KeyArray.of(notifications), *sql.brothers_range(deliveries)])
    found: dict[Key, Standing] = {}
    for notification, id, channel, status, tries, provider, *moments, priority in cursor.fetchall():
        leg = leg_of((id, channel, status, tries, provider), moments)
        found.setdefault(notification, Standing([], priority)).legs.append(leg)
    return found


def leg_of(row: tuple[Key, str, str, int, str], moments: Collection[datetime | None]) -> Leg:
    """From (id, channel, status, tries, provider) and when it was sent, delivered, opened and clicked."""
    id, channel, status, tries, provider = row
    return Leg(id, channel, status, tries, _reports(channel, provider), *moments)


def inbox(legs: Collection[Leg]) -> Mapping[Key, Attention]:
    """What people did with those of these that stand in their feed."""
    wanted = [leg.id for leg in legs if leg.channel == _IN_APP and leg.status in _IN_FEED]
    lookup = registry.engagement_lookup()
    return lookup(wanted) if wanted and lookup is not None else {}


def plans(cursor: CursorWrapper, notifications: Collection[Key]) -> dict[Key, Plan]:
    """Of those that have one."""
    cursor.execute(_PLANS, [KeyArray.of(notifications)])
    return {id: decode(raw) for id, raw in cursor.fetchall()}


def _reports(channel: str, provider: str) -> bool:
    """The feed tells by itself when an item was shown."""
    return channel == _IN_APP or not provider or "receiver" in settings.PROVIDERS.get(provider, {})
