"""How a recipient may be reached: one small value per person that routing needs and nothing that identifies them."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from core.ids import Key
from core.postgresql.direct import KeyArray, TextArray, direct_cursor
from preferences.choices import Channel
from preferences.models import ALL_MARKETING, Suppression
from preferences.quiet_hours import QuietHours
from preferences.services.quiet import quiet_of

#: Devices of one person that get a push, the newest first. More are retired on registration: tokens pile up otherwise.
MAX_DEVICES = 20
_EMAIL, _SMS, _PUSH = Channel.EMAIL.value, Channel.SMS.value, Channel.PUSH.value

#: One round trip whatever the batch: tokens and preferences come aggregated, by index, with their recipient.
_SELECT = f"""
SELECT r.id, r.external_id, r.email, r.phone,
       (SELECT (array_agg(t.id ORDER BY t.registered_at DESC))[1:{MAX_DEVICES}]
          FROM preferences_devicetoken t WHERE t.recipient_id = r.id AND t.retired_at IS NULL),
       said.off || (SELECT array_agg(m.channel || ':{ALL_MARKETING}')
                      FROM preferences_marketingstop m WHERE m.recipient_id = r.id),
       said.on, r.quiet_start, r.quiet_end, r.quiet_never, r.timezone,
       (SELECT array_agg(concat_ws(':', coalesce(c.category_id::text, '*'), c.rhythm,
                                   coalesce(to_char(c.at, 'HH24MI'), ''), coalesce(c.weekday::text, '')))
          FROM preferences_digestchoice c WHERE c.recipient_id = r.id)
  FROM preferences_recipient r,
       LATERAL (SELECT array_agg(p.channel || ':' || coalesce(p.category_id::text, '*')) FILTER (WHERE NOT p.enabled),
                       array_agg(p.channel || ':' || coalesce(p.category_id::text, '*')) FILTER (WHERE p.enabled)
                  FROM preferences_preference p WHERE p.recipient_id = r.id) said ("off", "on")
"""
_BY_EXTERNAL_ID = f"{_SELECT} WHERE r.external_id = ANY($1::text[])"
_BY_ID = f"{_SELECT} WHERE r.id = ANY($1::uuid[])"
_SUPPRESSED = """
SELECT channel, address_hash FROM preferences_suppression
 WHERE channel IN ('email', 'sms') AND address_hash = ANY($1::text[])
"""


class Reach(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How one recipient may be reached. It holds no address, so it may be cached where addresses may not stand.

    `off` and `on` are preference rows as "<channel>:<category id>", "<channel>:*" for a word on the whole channel, or
    "<channel>:marketing" for a no to all marketing there; they are few, and an empty tuple costs nothing to read.
    `digests` are their words on digests as "<category id, or *>:<rhythm>:<HHMM, or nothing>:<weekday, or nothing>".
    `devices` are the live device tokens, newest first. `suppressed` are channels whose address must not be used.
    `quiet` are their quiet hours, or those of the installation for who has none; None for nearly everybody.
    Whoever changes a field raises `SHAPE` in `cache.py`. The collector need not look: nothing in it refers back.
    """

    id: Key
    external_id: str
    has_email: bool
    has_phone: bool
    devices: tuple[Key, ...] = ()
    off: tuple[str, ...] = ()
    on: tuple[str, ...] = ()
    suppressed: tuple[str, ...] = ()
    quiet: QuietHours | None = None
    digests: tuple[str, ...] = ()

    def allows(self, channel: str, category_id: int, is_required: bool, is_marketing: bool) -> bool:
        """Whether the recipient wants this category here. No row means yes, the narrower row wins (a category's, all
        marketing's, the channel's), and a required category is always wanted."""
        if is_required or not self.off:
            return True
        narrow = f"{channel}:{category_id}"
        if narrow in self.off:
            return False
        if narrow in self.on:
            return True
        return not (is_marketing and f"{channel}:{ALL_MARKETING}" in self.off) and f"{channel}:*" not in self.off

    def has_address(self, channel: str) -> bool:
        """Whether there is anything to send to; the feed needs no address."""
        if channel == _EMAIL:
            return self.has_email
        if channel == _SMS:
            return self.has_phone
        return bool(self.devices) if channel == _PUSH else True


def by_external_id(external_ids: Sequence[str]) -> list[Reach]:
    """The recipients of those ids that exist, from PostgreSQL in two queries."""
    return _load(_BY_EXTERNAL_ID, TextArray.of(external_ids)) if external_ids else []


def by_id(recipient_ids: Sequence[Key]) -> list[Reach]:
    """The same, by primary key."""
    return _load(_BY_ID, KeyArray.of(recipient_ids)) if recipient_ids else []


def _load(sql: str, wanted: TextArray | KeyArray) -> list[Reach]:
    with direct_cursor() as cursor:
        cursor.execute(sql, [wanted])
        rows = cursor.fetchall()
    hashes = [_address_keys(row[2], row[3]) for row in rows]
    suppressed = _suppressed(hashes)
    return [_reach(row, keys, suppressed) for row, keys in zip(rows, hashes, strict=True)]


def _reach(row: tuple[Any, ...], addresses: list[tuple[str, str]], suppressed: frozenset[tuple[str, str]]) -> Reach:
    id, external_id, email, phone, devices, off, on, quiet_start, quiet_end, quiet_never, timezone, digests = row
    return Reach(
        id=id,
        external_id=external_id,
        has_email=bool(email),
        has_phone=bool(phone),
        devices=tuple(devices or ()),
        off=tuple(off or ()),
        on=tuple(on or ()),
        suppressed=tuple(key[0] for key in addresses if key in suppressed) if suppressed else (),
        quiet=quiet_of(quiet_start, quiet_end, timezone, never=quiet_never),
        digests=tuple(digests or ()),
    )


def _suppressed(people: Iterable[list[tuple[str, str]]]) -> frozenset[tuple[str, str]]:
    """The (channel, address hash) pairs of these people that are suppressed, in one query."""
    hashes = [hash for addresses in people for _, hash in addresses]
    if not hashes:
        return frozenset()
    with direct_cursor() as cursor:
        cursor.execute(_SUPPRESSED, [TextArray.of(hashes)])
        return frozenset(cursor.fetchall())


def _address_keys(email: str, phone: str) -> list[tuple[str, str]]:
    keys = []
    if email:
        keys.append((_EMAIL, Suppression.hash_of(email)))
    if phone:
        keys.append((_SMS, Suppression.hash_of(phone)))
    return keys
