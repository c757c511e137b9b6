"""Writing many feed items at once, and counting. Raw SQL, a constant number of statements for any batch."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from django.db import connection, transaction

from notifications.bulk import uuid_array

#: Counting stops here: nobody reads a badge past it, and a feed of a million unread items costs the same.
COUNT_CAP = 1000

#: Numbers are handed out under row locks, taken in the order of the ids so that two batches cannot deadlock. Someone
#: who was erased a moment ago gets no row, and so no items; who is being erased now is waited for, and whose turn comes
#: later waits for us, or the foreign key would undo the whole batch at its commit.
_ALLOCATE = """
    INSERT INTO channels_app_feedcursor AS c (recipient_id, last_seq, version)
    SELECT r.id, n.items, 1
      FROM json_to_recordset(%s) AS n (recipient_id uuid, items bigint)
      JOIN preferences_recipient r ON r.id = n.recipient_id
     ORDER BY r.id
       FOR KEY SHARE OF r
    ON CONFLICT (recipient_id) DO UPDATE SET last_seq = c.last_seq + excluded.last_seq, version = c.version + 1
    RETURNING recipient_id, last_seq, version
"""

#: A second statement, so that its snapshot is younger than the locks: it sees what a concurrent send of the same
#: deliveries has committed, and inserts nothing twice.
_INSERT = """
    INSERT INTO channels_app_feeditem (id, recipient_id, seq, category, title, body, link, icon, data, created_at)
    SELECT i.id, i.recipient_id, i.base + row_number() OVER (PARTITION BY i.recipient_id ORDER BY i.n),
           i.category, i.title, i.body, i.link, i.icon, i.data, clock_timestamp()
      FROM json_to_recordset(%s) AS i (n int, id uuid, recipient_id uuid, base bigint, category text, title text,
                                       body text, link text, icon text, data jsonb)
     WHERE NOT EXISTS (SELECT FROM channels_app_feeditem f WHERE f.id = i.id)
    RETURNING id, recipient_id, seq, created_at
"""

#: Numbers that a second send did not use go back before anyone can see them.
_GIVE_BACK = """
    UPDATE channels_app_feedcursor c
       SET last_seq = c.last_seq - n.unused, version = c.version - CASE WHEN n.idle THEN 1 ELSE 0 END
      FROM json_to_recordset(%s) AS n (recipient_id uuid, unused bigint, idle boolean)
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
                    ORDER BY f.seq DESC LIMIT %s) s) k
     WHERE c.recipient_id = ANY(%s::uuid[])
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

    Two statements for any batch, three when some of it was there already. Idempotent by id.
    """
    unique = {item.id: item for item in items}
    wanted: dict[UUID, int] = {}
    for item in unique.values():
        wanted[item.recipient_id] = wanted.get(item.recipient_id, 0) + 1
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_ALLOCATE, [_json([{"recipient_id": id, "items": n} for id, n in wanted.items()])])
        allocated = cursor.fetchall()
        bases = {id: last - wanted[id] for id, last, _ in allocated}
        lines = [_line(n, item, bases) for n, item in enumerate(unique.values()) if item.recipient_id in bases]
        cursor.execute(_INSERT, [_json(lines)])
        stored = [Stored(unique[row[0]], row[2], row[3]) for row in cursor.fetchall()]
        if len(stored) < len(lines):
            used: dict[UUID, int] = dict.fromkeys(bases, 0)
            for one in stored:
                used[one.item.recipient_id] += 1
            unused = [
                {"recipient_id": id, "unused": wanted[id] - n, "idle": n == 0}
                for id, n in used.items()
                if n < wanted[id]
            ]
            cursor.execute(_GIVE_BACK, [_json(unused)])
    stored.sort(key=lambda one: one.seq)
    return Insertion(stored, {id: version for id, _, version in allocated}, wanted.keys() - bases.keys())


def counts(recipients: Collection[UUID]) -> dict[UUID, Counts]:
    """The counts of feeds, in one query; someone without a feed is absent."""
    if not recipients:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_COUNTS, [COUNT_CAP, uuid_array(recipients)])
        return {
            id: Counts(unseen=unseen, unread=unread, version=version, last_seq=last_seq)
            for id, last_seq, version, unseen, unread in cursor.fetchall()
        }


def counts_of(recipient_id: UUID) -> Counts:
    """One recipient's counts; all zero for someone who never got an item."""
    return counts([recipient_id]).get(recipient_id, Counts())


def _line(n: int, item: NewItem, bases: Mapping[UUID, int]) -> dict[str, Any]:
    return {
        "n": n,
        "id": item.id,
        "recipient_id": item.recipient_id,
        "base": bases[item.recipient_id],
        "category": item.category,
        "title": item.title,
        "body": item.body,
        "link": item.link,
        "icon": item.icon,
        "data": item.data,
    }


def _json(rows: Sequence[Mapping[str, Any]]) -> str:
    return orjson.dumps(rows).decode()
