"""Writing many feed items at once, and counting. Raw SQL, a constant number of statements for any batch."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import orjson
from django.db import transaction

from core.ids import Key
from core.postgresql.direct import KeyArray, direct_cursor
from notifications import bulk

#: Counting stops here: nobody reads a badge past it, and a feed of a million unread items costs the same.
COUNT_CAP = 1000

#: Numbers are handed out under row locks, taken in the order of the ids so that two batches cannot deadlock. Someone
#: who was erased a moment ago gets no row, and so no items; who is being erased now is waited for, and whose turn comes
#: later waits for us, or the foreign key would undo the whole batch at its commit.
_ALLOCATE = """
    INSERT INTO channels_app_feedcursor AS c (recipient_id, last_seq, version)
    SELECT r.id, n.items, 1
      FROM unnest($1::uuid[], $2::bigint[]) AS n (recipient_id, items)
      JOIN preferences_recipient r ON r.id = n.recipient_id
     ORDER BY r.id
       FOR KEY SHARE OF r
    ON CONFLICT (recipient_id) DO UPDATE SET last_seq = c.last_seq + excluded.last_seq, version = c.version + 1
    RETURNING recipient_id, last_seq, version
"""

#: A second statement, so that its snapshot is younger than the locks: it sees what a concurrent send of the same
#: deliveries has committed, which is then not copied. The items' moment comes with it.
_KNOWN = """
    SELECT clock_timestamp(), ARRAY(SELECT id FROM channels_app_feeditem WHERE id = ANY($1))
"""

_COLUMNS = "id, recipient_id, seq, category, title, body, link, icon, data, created_at"
_HEAD = bulk.head(_COLUMNS)
_BIGINT = (8).to_bytes(4)

#: Numbers that a second send did not use go back before anyone can see them.
_GIVE_BACK = """
    UPDATE channels_app_feedcursor c
       SET last_seq = c.last_seq - n.unused, version = c.version - CASE WHEN n.idle THEN 1 ELSE 0 END
      FROM unnest($1::uuid[], $2::bigint[], $3::boolean[]) AS n (recipient_id, unused, idle)
     WHERE c.recipient_id = n.recipient_id
"""

#: One statement and so one snapshot: the counts are those of exactly this version.
_COUNTS = """
    SELECT c.recipient_id, c.last_seq, c.version, k.unseen, k.unread
      FROM channels_app_feedcursor c
     CROSS JOIN LATERAL (
           SELECT count(*) FILTER (WHERE s.seen_at IS NULL) AS unseen, count(*) AS unread
             FROM (SELECT seen_at FROM channels_app_feeditem f
                    WHERE f.recipient_id = c.recipient_id AND f.read_at IS NULL AND f.archived_at IS NULL
                      AND (f.snoozed_until IS NULL OR f.snoozed_until <= now())
                    ORDER BY f.seq DESC LIMIT $1) s) k
     WHERE c.recipient_id = ANY($2)
"""


@dataclass(frozen=True, slots=True)
class NewItem:
    """An item to store; `id` is the delivery's."""

    id: UUID
    recipient_id: UUID
    category: str
    title: str
    body: str
    link: str
    icon: str
    data: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of a NewItem that was not there before."""

    item: NewItem
    seq: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Insertion:
    """What an insert did: new items in the order of their numbers, each touched feed's version after it, and the
    recipients that do not exist (any more)."""

    stored: Sequence[Stored]
    versions: Mapping[UUID, int]
    gone: Collection[UUID]


@dataclass(frozen=True, slots=True)
class Counts:
    """The server's count of a feed, at most COUNT_CAP each, as of `version`."""

    unseen: int = 0
    unread: int = 0
    version: int = 0
    last_seq: int = 0


def insert(items: Sequence[NewItem]) -> Insertion:
    """Store items that are not there yet, numbered per recipient in the given order, in one transaction.

    Two statements and a COPY for any batch, and one more when some of it was there already. Idempotent by id.
    """
    unique = {item.id.bytes: item for item in items}
    wanted: dict[UUID, int] = {}
    for item in unique.values():
        wanted[item.recipient_id] = wanted.get(item.recipient_id, 0) + 1
    people = {id.bytes: id for id in wanted}
    with transaction.atomic(), direct_cursor() as cursor:
        cursor.execute(_ALLOCATE, [KeyArray.of(people), list(wanted.values())])
        allocated = [(people[key], last, version) for key, last, version in cursor.fetchall()]
        cursor.execute(_KNOWN, [KeyArray.of(unique)])
        now, known = cursor.fetchone()
        numbers = {id: last - wanted[id] for id, last, _ in allocated}  # the last one given away
        for key in known:
            del unique[key]
        stored: list[Stored] = []
        for item in unique.values():
            if item.recipient_id in numbers:
                numbers[item.recipient_id] += 1
                stored.append(Stored(item, numbers[item.recipient_id], now))
        moment = bulk.moment_field(now)
        bulk.copy_rows(cursor, "channels_app_feeditem", _COLUMNS, [_row(one, moment) for one in stored])
        if known:
            unused = {id: last - numbers[id] for id, last, _ in allocated if numbers[id] < last}
            idle = [n == wanted[id] for id, n in unused.items()]
            cursor.execute(_GIVE_BACK, [KeyArray.of(id.bytes for id in unused), list(unused.values()), idle])
    stored.sort(key=lambda one: one.seq)
    return Insertion(stored, {id: version for id, _, version in allocated}, wanted.keys() - numbers.keys())


def _row(one: Stored, moment: bytes) -> bytes:
    item = one.item
    texts = (item.category, item.title, item.body, item.link, item.icon)
    return b"".join(
        (
            _HEAD,
            *(bulk.KEY, item.id.bytes, bulk.KEY, item.recipient_id.bytes, _BIGINT, one.seq.to_bytes(8)),
            *map(bulk.text_field, texts),
            _jsonb_field(item.data),
            moment,
        )
    )


def _jsonb_field(value: Mapping[str, object]) -> bytes:
    """Of jsonb: the version of its format, and JSON."""
    raw = orjson.dumps(value) if value else b"{}"
    return (len(raw) + 1).to_bytes(4) + b"\1" + raw


def counts(recipients: Collection[UUID]) -> dict[UUID, Counts]:
    """The counts of feeds, in one query; someone without a feed is absent."""
    if not recipients:
        return {}
    people: dict[Key, UUID] = {id.bytes: id for id in recipients}
    with direct_cursor() as cursor:
        cursor.execute(_COUNTS, [COUNT_CAP, KeyArray.of(people)])
        return {
            people[key]: Counts(unseen=unseen, unread=unread, version=version, last_seq=last_seq)
            for key, last_seq, version, unseen, unread in cursor.fetchall()
        }


def counts_of(recipient_id: UUID) -> Counts:
    """One recipient's counts; all zero for someone who never got an item."""
    return counts([recipient_id]).get(recipient_id, Counts())
