"""What of a batch that is being accepted waits for a digest, and in which: a constant number of statements for all."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import msgspec
from django.db.backends.utils import CursorWrapper

from core import ids
from core.ids import Key
from core.postgresql.direct import KeyArray
from notifications.choices import Priority
from notifications.digests.moments import closes_at
from notifications.services.acceptance import Gathered, Item
from notifications.services.tracking_sql import by_id
from preferences.choices import DigestMode
from preferences.digesting import DigestRule, rule_of
from preferences.quiet_hours import zone

_CRITICAL = Priority.CRITICAL.value
_ZONES = "SELECT id, timezone FROM preferences_recipient WHERE id = ANY($1::uuid[])"

#: Opens those that are not open, in one order everywhere: two batches for the same people then wait for each other and
#: never deadlock. One that is being closed is waited for, and then a new one is opened. The keys come as one array.
_OPEN = """
    INSERT INTO notifications_digest AS d
           (id, recipient_id, category_id, key, is_test, state, channels, count, opens_at, closes_at, latest_at)
    SELECT i.id, i.recipient_id, i.category_id, i.key, $7, 'open', string_to_array(i.channels, ','), i.count,
           now(), i.closes_at, i.latest_at
      FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::text[], $5::text[], $6::int[], $8::timestamptz[],
                  $9::timestamptz[])
           AS i(id, recipient_id, category_id, key, channels, count, closes_at, latest_at)
     ORDER BY i.recipient_id, i.category_id, i.key COLLATE "C"
        ON CONFLICT (recipient_id, category_id, key, is_test) WHERE state = 'open' DO UPDATE
       SET count = d.count + excluded.count,
           channels = ARRAY(SELECT DISTINCT c FROM unnest(d.channels || excluded.channels) c ORDER BY c),
           closes_at = CASE WHEN d.latest_at IS NULL OR excluded.latest_at IS NULL THEN d.closes_at
                            ELSE greatest(d.closes_at, least(excluded.closes_at, d.latest_at)) END
    RETURNING d.id, d.recipient_id, d.category_id, d.key
"""
#: The first of a digest that has just been opened goes out by itself.
_LESS = "UPDATE notifications_digest SET count = count - 1 WHERE id = ANY($1::uuid[])"
_ITEMS = """
    INSERT INTO notifications_digestitem (notification_id, digest_id)
    SELECT * FROM unnest($1::uuid[], $2::uuid[])
"""


class _Pile(msgspec.Struct):
    """Items of one batch for one digest."""

    rule: DigestRule
    new: Key
    items: list[Item]
    channels: set[str]


_Which = tuple[Key, int, str]


def gather(
    cursor: CursorWrapper, items: Sequence[Item], without: Collection[Key], *, now: datetime, is_test: bool
) -> Mapping[Key, Gathered]:
    """Which of these wait, by notification; `without` are left alone. Digests are opened and items written."""
    piles: dict[_Which, _Pile] = {}
    for item in items:
        if item.id not in without and (rule := rule_for(item, now)) is not None:
            _pile(piles, item, rule)
    if not piles:
        return {}
    opened = _open(cursor, piles, now, is_test)
    firsts = [
        which for which, pile in piles.items() if pile.rule.first_at_once and opened[which] == pile.new
    ]  # it goes at once, and the digest waits for what follows
    if firsts:
        cursor.execute(_LESS, [KeyArray.of([opened[which] for which in firsts])])
    gathered: dict[Key, Gathered] = {}
    for which, pile in piles.items():
        for item in pile.items[which in firsts :]:
            gathered[item.id] = Gathered(opened[which], frozenset(pile.rule.channels))
    if gathered:
        digests = [one.digest for one in gathered.values()]
        cursor.execute(_ITEMS, [KeyArray.of(gathered), KeyArray.of(digests)])
    return gathered


def rule_for(item: Item, now: datetime) -> DigestRule | None:
    """The rule by which an item waits; None when it goes as it comes. What is critical never waits, what has its own
    time to come keeps it, and a digest cannot hold back what would not go out anyway."""
    admitted = item.admitted
    rule = rule_of(admitted.reach, admitted.terms.category)
    if rule is None or admitted.terms.priority == _CRITICAL:
        return None
    if admitted.draft.send_at is not None and admitted.draft.send_at > now:
        return None
    return rule if any(not way.skip and way.channel in rule.channels for way in item.routes) else None


def _pile(piles: dict[_Which, _Pile], item: Item, rule: DigestRule) -> None:
    which = (item.admitted.reach.id, item.admitted.terms.category.id, item.admitted.draft.digest_key)
    if (pile := piles.get(which)) is None:
        pile = piles[which] = _Pile(rule, ids.keys(1)[0], [], set())
    pile.items.append(item)
    pile.channels.update(way.channel for way in item.routes if not way.skip and way.channel in rule.channels)


def _open(cursor: CursorWrapper, piles: Mapping[_Which, _Pile], now: datetime, is_test: bool) -> dict[_Which, Key]:
    """The digest of each pile."""
    local = {which[0] for which, pile in piles.items() if pile.rule.mode == DigestMode.LOCAL_TIME}
    zones = by_id(cursor, _ZONES, local)
    moments = [
        closes_at(pile.rule, now, zone(zones[which[0]][1] if which[0] in zones else "UTC"))
        for which, pile in piles.items()
    ]
    cursor.execute(
        _OPEN,
        [
            KeyArray.of([pile.new for pile in piles.values()]),
            KeyArray.of([which[0] for which in piles]),
            [which[1] for which in piles],
            [which[2] for which in piles],
            [",".join(sorted(pile.channels)) for pile in piles.values()],
            [len(pile.items) for pile in piles.values()],
            is_test,
            [closes for closes, _ in moments],
            [latest for _, latest in moments],
        ],
    )
    return {(recipient, category, key): id for id, recipient, category, key in cursor.fetchall()}
