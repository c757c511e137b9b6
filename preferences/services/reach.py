"""How a recipient may be reached: one small value per person that routing needs and nothing that identifies them."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import msgspec
from django.db import connection

from preferences.choices import Channel
from preferences.models import Suppression

#: Devices of one person that get a push, the newest first. More are retired on registration: tokens pile up otherwise.
MAX_DEVICES = 20

#: One round trip whatever the batch: tokens and preferences come aggregated, by index, with their recipient.
_SELECT = f"""
SELECT r.id, r.external_id, r.locale, r.timezone, r.email, r.phone,
       (SELECT (array_agg(t.id ORDER BY t.registered_at DESC))[1:{MAX_DEVICES}]
          FROM preferences_devicetoken t WHERE t.recipient_id = r.id AND t.retired_at IS NULL),
       (SELECT array_agg(p.channel || ':' || coalesce(p.category_id::text, '*'))
          FROM preferences_preference p WHERE p.recipient_id = r.id AND NOT p.enabled),
       (SELECT array_agg(p.channel || ':' || coalesce(p.category_id::text, '*'))
          FROM preferences_preference p WHERE p.recipient_id = r.id AND p.enabled)
  FROM preferences_recipient r
"""


class Reach(msgspec.Struct, frozen=True, array_like=True):
    """How one recipient may be reached. It holds no address, so it may be cached where addresses may not stand.

    `off` and `on` are preference rows as "<channel>:<category id>", or "<channel>:*" for a word on the whole channel.
    `devices` are the live device tokens, newest first. `suppressed` are channels whose address must not be used.
    """

    id: UUID
    external_id: str
    locale: str
    timezone: str
    has_email: bool
    has_phone: bool
    devices: tuple[UUID, ...] = ()
    off: frozenset[str] = frozenset()
    on: frozenset[str] = frozenset()
    suppressed: tuple[str, ...] = ()

    def allows(self, channel: str, category_id: int, is_required: bool) -> bool:
        """Whether the recipient wants this category here. No row means yes, the narrower row wins, and a required
        category is always wanted."""
        if is_required or not self.off:
            return True
        narrow = f"{channel}:{category_id}"
        if narrow in self.off:
            return False
        return narrow in self.on or f"{channel}:*" not in self.off

    def has_address(self, channel: str) -> bool:
        """Whether there is anything to send to; the feed needs no address."""
        if channel == Channel.EMAIL:
            return self.has_email
        if channel == Channel.SMS:
            return self.has_phone
        return bool(self.devices) if channel == Channel.PUSH else True


def by_external_id(external_ids: Sequence[str]) -> list[Reach]:
    """The recipients of those ids that exist, from PostgreSQL in two queries."""
    return _load(f"{_SELECT} WHERE r.external_id = ANY(%s)", external_ids)


def by_id(recipient_ids: Sequence[UUID]) -> list[Reach]:
    """The same, by primary key."""
    return _load(f"{_SELECT} WHERE r.id = ANY(%s)", recipient_ids)


def _load(sql: str, keys: Sequence[object]) -> list[Reach]:
    if not keys:
        return []
    with connection.cursor() as cursor:
        cursor.execute(sql, [list(keys)])
        rows = cursor.fetchall()
    suppressed = _suppressed(rows)
    return [_reach(row, suppressed) for row in rows]


def _reach(row: tuple[Any, ...], suppressed: frozenset[tuple[str, str]]) -> Reach:
    id, external_id, locale, timezone, email, phone, devices, off, on = row
    return Reach(
        id=id,
        external_id=external_id,
        locale=locale,
        timezone=timezone,
        has_email=bool(email),
        has_phone=bool(phone),
        devices=tuple(devices or ()),
        off=frozenset(off or ()),
        on=frozenset(on or ()),
        suppressed=tuple(key[0] for key in _address_keys(email, phone) if key in suppressed) if suppressed else (),
    )


def _suppressed(rows: Iterable[tuple[Any, ...]]) -> frozenset[tuple[str, str]]:
    """The (channel, address hash) pairs of these rows that are suppressed, in one query."""
    hashes = [key[1] for row in rows for key in _address_keys(row[4], row[5])]
    if not hashes:
        return frozenset()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT channel, address_hash FROM preferences_suppression"
            " WHERE channel IN ('email', 'sms') AND address_hash = ANY(%s)",
            [hashes],
        )
        return frozenset(cursor.fetchall())


def _address_keys(email: str, phone: str) -> list[tuple[str, str]]:
    keys = []
    if email:
        keys.append((Channel.EMAIL.value, Suppression.hash_of(email)))
    if phone:
        keys.append((Channel.SMS.value, Suppression.hash_of(phone)))
    return keys
