"""What a socket has missed, read from the table."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from channels_app import frames, store
from channels_app.models import FeedCursor, FeedItem

#: Missed items that are sent one by one. Someone who missed more is told to load the first page again.
MAX_MISSED = 100


@dataclass(frozen=True, slots=True)
class Missed:
    """Items after a number, as (seq, frame) in order. `reset` says there were too many to send, or that the place to
    start from is unknown; `last_seq` is where the socket stands afterwards."""

    counts: store.Counts
    latest: UUID | None
    items: Sequence[tuple[int, str]]
    last_seq: int
    reset: bool


def seq_of(recipient_id: UUID, item_id: UUID) -> int | None:
    """The number of one of a person's items; None when they have no such item."""
    return FeedItem.objects.filter(recipient_id=recipient_id, id=item_id).values_list("seq", flat=True).first()


def catch_up(recipient_id: UUID, after: int | None) -> Missed:
    """Everything after a number (None: nothing, only where the feed stands)."""
    counts = store.counts_of(recipient_id)  # before the items: what comes in between is sent, or published, or both
    mine = FeedItem.objects.filter(recipient_id=recipient_id)
    latest = mine.order_by("-seq").values_list("id", flat=True).first()
    rows = list(mine.filter(seq__gt=after).order_by("seq")[: MAX_MISSED + 1]) if after is not None else []
    reset = len(rows) > MAX_MISSED
    items = [] if reset else [(row.seq, frames.item(row)) for row in rows]
    last_seq = max(counts.last_seq, items[-1][0] if items else 0)
    return Missed(counts, latest, items, last_seq, reset)


def version_of(recipient_id: UUID) -> int:
    """How often the feed has changed: one row by its key, cheap enough to ask at a ping."""
    found = FeedCursor.objects.filter(recipient_id=recipient_id).values_list("version", flat=True).first()
    return found or 0
