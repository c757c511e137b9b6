"""What goes over the feed socket, as JSON text made once and sent to every tab.

hello   {"type": "hello", "counts": {...}, "latest": id | null, "reset": bool, "release": "1f0c..."}
item    {"type": "item", "item": {...}}
counts  {"type": "counts", "counts": {"unseen": 2, "unread": 5, "version": 17}}
update  {"type": "update", "items": [{"id": ..., "seq": ..., "seen_at": ..., ...}]}, or for all of a range
        {"type": "update", "range": {"from": 3, "through": 41, "category": null}, "state": {"seen_at": ..., ...}}
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from channels_app import release
from channels_app.models import FeedItem
from channels_app.store import Counts, Stored
from core.api.rendering import dumps

#: Fields of an item that change after it was stored.
STATES = ("seen_at", "read_at", "archived_at", "snoozed_until")
_UNTOUCHED = dict.fromkeys(STATES)


def item_payload(item: FeedItem) -> dict[str, Any]:
    """An item as the API and the socket show it."""
    return {
        "id": item.id,
        "seq": item.seq,
        "category": item.category,
        "title": item.title,
        "body": item.body,
        "link": item.link,
        "icon": item.icon,
        "data": item.data,
        "created_at": item.created_at,
        "woken_at": item.woken_at,
        **{name: getattr(item, name) for name in STATES},
    }


def counts_payload(counts: Counts) -> dict[str, int]:
    return {"unseen": counts.unseen, "unread": counts.unread, "version": counts.version}


def hello(counts: Counts, latest: UUID | None, *, reset: bool) -> str:
    said = {"counts": counts_payload(counts), "latest": latest, "reset": reset, "release": release.of_modules()}
    return _text({"type": "hello", **said})


def item(row: FeedItem) -> str:
    return _text({"type": "item", "item": item_payload(row)})


def new_item(stored: Stored) -> str:
    """The frame of an item that was just inserted, without reading it back."""
    new = stored.item
    payload = {
        "id": new.id,
        "seq": stored.seq,
        "category": new.category,
        "title": new.title,
        "body": new.body,
        "link": new.link,
        "icon": new.icon,
        "data": new.data,
        "created_at": stored.created_at,
        "woken_at": None,
        **_UNTOUCHED,
    }
    return _text({"type": "item", "item": payload})


def counts(value: Counts) -> str:
    return _text({"type": "counts", "counts": counts_payload(value)})


def update(rows: Sequence[FeedItem]) -> str:
    states = [{"id": row.id, "seq": row.seq, **{name: getattr(row, name) for name in STATES}} for row in rows]
    return _text({"type": "update", "items": states})


def update_range(first: int, last: int, state: Mapping[str, Any], *, category: str | None = None) -> str:
    return _text(
        {"type": "update", "range": {"from": first, "through": last, "category": category}, "state": dict(state)}
    )


PONG = '{"type":"pong"}'


def _text(value: Mapping[str, Any]) -> str:
    return dumps(value).decode()
