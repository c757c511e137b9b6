"""What a socket has missed, read from the table, for many sockets at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from channels_app import frames, store
from channels_app.models import FeedItem
from core import ids
from core.ids import Key
from core.postgresql.direct import KeyArray, direct_cursor
from notifications.bulk import uuid_array

#: Missed items that are sent one by one. Someone who missed more is told to load the first page again.
MAX_MISSED = 100
#: Missed items of all who ask together, at most: a page of MAX_MISSED can have half a megabyte.
MAX_ROWS = 2_000

_NOWHERE = bytes(16)
_DIGITS = 18  # fit a bigint

#: The newest item of each, and the number of the one it asks from.
_PLACES = """
    SELECT (SELECT f.id FROM channels_app_feeditem f WHERE f.recipient_id = a.recipient_id ORDER BY f.seq DESC LIMIT 1),
           (SELECT f.seq FROM channels_app_feeditem f WHERE f.id = a.since AND f.recipient_id = a.recipient_id)
      FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS a (recipient_id, since, n)
     ORDER BY a.n
"""

_LATER = """
    SELECT f.*, a.n FROM unnest(%s::int[], %s::uuid[], %s::bigint[]) AS a (n, recipient_id, seq)
     CROSS JOIN LATERAL (
           SELECT * FROM channels_app_feeditem i
            WHERE i.recipient_id = a.recipient_id AND i.seq > a.seq ORDER BY i.seq LIMIT %s) f
     ORDER BY a.n, f.seq
"""


@dataclass(frozen=True, slots=True)
class Place:
    """From where someone asks: after a number, or after one of their items. With neither nothing is asked for, but
    where the feed stands; `unknown` says that they named what cannot be theirs."""

    recipient_id: UUID
    after: int | None = None
    since: UUID | None = None
    unknown: bool = False


@dataclass(frozen=True, slots=True)
class Missed:
    """Items after a place, as (seq, frame) in order. `reset` says there were too many to send, or that the place to
    start from is unknown; `last_seq` is where the socket stands afterwards."""

    counts: store.Counts
    latest: UUID | None
    items: Sequence[tuple[int, str]]
    last_seq: int
    reset: bool


def place(recipient_id: UUID, since: str) -> Place:
    """What a client asks for: the number or the id of the newest item it has, "0" when it has none, "" for nothing."""
    if not since:
        return Place(recipient_id)
    number = number_of(since)
    if number is not None:
        return Place(recipient_id, after=number)
    try:
        return Place(recipient_id, since=UUID(since))
    except ValueError:
        return Place(recipient_id, unknown=True)


def number_of(since: str) -> int | None:
    """The number of an item that a client names; None when that is no number, or no item's."""
    return int(since) if since.isascii() and since.isdecimal() and len(since) <= _DIGITS else None


def seq_of(recipient_id: UUID, item_id: UUID) -> int | None:
    """The number of one of a person's items; None when they have no such item."""
    return FeedItem.objects.filter(recipient_id=recipient_id, id=item_id).values_list("seq", flat=True).first()


def catch_up(places: Sequence[Place]) -> list[Missed]:
    """Everything after each place, in their order, in a few statements however many they are."""
    # Before the items: what comes in between is published to who asks, who listens already.
    counts = store.counts({place.recipient_id for place in places})
    with direct_cursor() as cursor:
        people = KeyArray.of(place.recipient_id.bytes for place in places)
        since = KeyArray.of(place.since.bytes if place.since else _NOWHERE for place in places)
        cursor.execute(_PLACES, [people, since])
        found = cursor.fetchall()
    afters = [seq if place.since else place.after for place, (_, seq) in zip(places, found, strict=True)]
    stands = [counts.get(place.recipient_id, store.Counts()) for place in places]
    behind = [(n, after) for n, after in enumerate(afters) if after is not None and after < stands[n].last_seq]
    later: dict[int, list[FeedItem]] = {}
    some, expected = [], 0
    for n, after in behind:
        some.append((n, places[n].recipient_id, after))
        expected += min(stands[n].last_seq - after, MAX_MISSED + 1)
        if expected >= MAX_ROWS or n == behind[-1][0]:
            _read_later(some, later)
            some, expected = [], 0
    return [
        _missed(place, afters[n] is None, stands[n], found[n][0], later.get(n, [])) for n, place in enumerate(places)
    ]


def _read_later(some: Sequence[tuple[int, UUID, int]], later: dict[int, list[FeedItem]]) -> None:
    """Each one's items after a number, MAX_MISSED and one at most, by the place's position."""
    numbers, people, seqs = zip(*some, strict=True)
    for row in FeedItem.objects.raw(_LATER, [list(numbers), uuid_array(people), list(seqs), MAX_MISSED + 1]):
        later.setdefault(row.n, []).append(row)  # type: ignore[attr-defined]  # of the statement, not of the model


def _missed(place: Place, nowhere: bool, counts: store.Counts, latest: Key | None, rows: Sequence[FeedItem]) -> Missed:
    ahead = place.after is not None and place.after > counts.last_seq  # a number from before the table was restored
    lost = place.unknown or ahead or (place.since is not None and nowhere)
    reset = lost or len(rows) > MAX_MISSED
    items = [] if reset else [(row.seq, frames.item(row)) for row in rows]
    last_seq = max(counts.last_seq, items[-1][0] if items else 0)
    return Missed(counts, ids.uuid(latest) if latest else None, items, last_seq, reset)
