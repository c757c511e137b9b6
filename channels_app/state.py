"""What a person does with their items. Every change happens under their cursor's lock, so two tabs cannot deadlock,
counts belong to a version, and a receipt is given once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce, Now

from channels_app import frames, live, store
from channels_app.models import FeedCursor, FeedItem
from notifications.choices import EventType
from notifications.services.tracking import DeliveryTracker, ProviderReceipt

#: Items in one change by id: what fits a socket frame of 4 KB.
MAX_IDS = 100
#: Items one "read all" marks; the answer says whether there are more.
MAX_READ_ALL = 5000
#: Nobody means to sleep longer, and no retention is as long.
MAX_SNOOZE = timedelta(days=366)
_RECEIPT_BATCH = 500
_PROVIDER = "feed"

State = Mapping[str, datetime | None]


@dataclass(frozen=True, slots=True)
class Action:
    """One thing a person can do: which items it changes, and what it makes of an item. `opens` counts as opened."""

    applies: Q
    becomes: Callable[[FeedItem, datetime], State]
    opens: bool = False


def _seen(item: FeedItem, now: datetime) -> State:
    return {"seen_at": item.seen_at or now}


def _archived(item: FeedItem, now: datetime) -> State:
    return {**_seen(item, now), "archived_at": now, "snoozed_until": None}


ACTIONS: Mapping[str, Action] = {
    "seen": Action(Q(seen_at=None), _seen),
    "read": Action(Q(read_at=None), lambda item, now: {**_seen(item, now), "read_at": now}, opens=True),
    "unread": Action(Q(read_at__isnull=False), lambda item, now: {"read_at": None}),
    "archive": Action(Q(archived_at=None), _archived),
    "unarchive": Action(Q(archived_at__isnull=False), lambda item, now: {"archived_at": None}),
}


@dataclass(frozen=True, slots=True)
class Changed:
    """The items asked for that exist, as they are now, and the counts that go with them."""

    counts: store.Counts
    items: Sequence[FeedItem] = field(default_factory=list)
    changed: int = 0
    more: bool = False


class NotAhead(ValueError):
    """A moment to sleep until that is past, or further away than MAX_SNOOZE."""


def change(recipient_id: UUID, action: str, ids: Sequence[UUID]) -> Changed:
    """Do one of ACTIONS to at most MAX_IDS of a person's items; ids of others are passed over. Idempotent."""
    return _change(recipient_id, ACTIONS[action], ids)


def snooze(recipient_id: UUID, ids: Sequence[UUID], until: datetime | None) -> Changed:
    """Hide items until a moment, archived ones too (None: show them again, where they were). Then they come back as
    unread; see `channels_app.waking`. Raises NotAhead."""

    def asleep(item: FeedItem, now: datetime) -> State:
        if until is not None and not now < until <= now + MAX_SNOOZE:
            raise NotAhead
        return {**_seen(item, now), "snoozed_until": until, "archived_at": None}

    hide = Action(~Q(snoozed_until=until), asleep)
    show = Action(Q(snoozed_until__isnull=False), lambda item, now: {"snoozed_until": None})
    return _change(recipient_id, show if until is None else hide, ids)


def read_all(recipient_id: UUID, *, category: str | None = None) -> Changed:
    """Mark everything visible (of a category) as read, newest first, MAX_READ_ALL at a time. Clearing a list is not
    opening its items, so the timeline says delivered and not opened."""
    with transaction.atomic():
        locked = _lock(recipient_id)
        if locked is None:
            return Changed(store.Counts())
        now: datetime = locked.now
        unread = visible(recipient_id).filter(read_at=None)
        if category is not None:
            unread = unread.filter(category=category)
        rows = list(unread.order_by("-seq").only("id", "seq", "delivered_at")[: MAX_READ_ALL + 1])
        rows, more = rows[:MAX_READ_ALL], len(rows) > MAX_READ_ALL
        if rows:
            ids = [row.id for row in rows]
            FeedItem.objects.filter(id__in=ids).update(read_at=now, seen_at=Coalesce("seen_at", now))
            _give_receipts(rows, now)
            state = {"seen_at": now, "read_at": now}
            frame = frames.update_range(rows[-1].seq, rows[0].seq, state, category=category)
            counts = _tell(recipient_id, frame)
        else:
            counts = store.counts_of(recipient_id)
    return Changed(counts, changed=len(rows), more=more)


def mark_delivered(recipient_id: UUID, items: Sequence[FeedItem]) -> None:
    """Items that are being shown for the first time are delivered now; for all others this costs nothing."""
    fresh = [item.id for item in items if item.delivered_at is None]
    if not fresh:
        return
    with transaction.atomic():
        locked = _lock(recipient_id)
        if locked is not None:
            rows = list(FeedItem.objects.filter(recipient_id=recipient_id, id__in=fresh, delivered_at=None))
            _give_receipts(rows, locked.now)


def visible(recipient_id: UUID) -> QuerySet[FeedItem]:
    """A person's items that are neither archived nor asleep."""
    awake = Q(snoozed_until=None) | Q(snoozed_until__lte=Now())
    return FeedItem.objects.filter(awake, recipient_id=recipient_id, archived_at=None)


def _change(recipient_id: UUID, action: Action, ids: Sequence[UUID]) -> Changed:
    if len(ids) > MAX_IDS:
        raise ValueError(f"At most {MAX_IDS} items in one change; {len(ids)} given.")
    with transaction.atomic():
        locked = _lock(recipient_id)
        if locked is None:
            return Changed(store.Counts())
        mine = FeedItem.objects.filter(recipient_id=recipient_id, id__in=ids)
        rows = list(mine.filter(action.applies))
        if not rows:
            return Changed(store.counts_of(recipient_id), list(mine))
        for row in rows:
            for name, value in action.becomes(row, locked.now).items():
                setattr(row, name, value)
        FeedItem.objects.bulk_update(rows, frames.STATES)
        _give_receipts(rows, locked.now, opened=action.opens)
        counts = _tell(recipient_id, frames.update(rows))
        items = rows if len(rows) == len(ids) else list(mine)
    return Changed(counts, items, changed=len(rows))


def _lock(recipient_id: UUID) -> Any:
    """The person's cursor, locked, with the database's `now`; None for someone who never got an item."""
    cursors = FeedCursor.objects.select_for_update().filter(recipient_id=recipient_id)
    return cursors.annotate(now=Now()).first()


def _give_receipts(rows: Sequence[FeedItem], now: datetime, *, opened: bool = False) -> None:
    """Delivered, once per item and guarded by `delivered_at`; and opened, which the tracker takes once."""
    fresh = [row.id for row in rows if row.delivered_at is None]
    FeedItem.objects.filter(id__in=fresh).update(delivered_at=now)
    receipts = [ProviderReceipt(id, EventType.DELIVERED, _PROVIDER) for id in fresh]
    if opened:
        receipts += [ProviderReceipt(row.id, EventType.OPENED, _PROVIDER) for row in rows]
    for start in range(0, len(receipts), _RECEIPT_BATCH):
        DeliveryTracker().receipts(receipts[start : start + _RECEIPT_BATCH])


def _tell(recipient_id: UUID, frame: str) -> store.Counts:
    """Move the version on, and after the commit tell every open tab."""
    FeedCursor.objects.filter(recipient_id=recipient_id).update(version=F("version") + 1)
    counts = store.counts_of(recipient_id)
    message = {
        "type": "feed.state",
        "frame": frame,
        "version": counts.version,
        "counts": frames.counts(counts),
        "counts_version": counts.version,
    }
    transaction.on_commit(lambda: live.publish({recipient_id: message}))
    return counts
