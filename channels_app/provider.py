"""The in_app channel's provider: sent means stored in the feed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from uuid import UUID

from django.db import InterfaceError, OperationalError

from channels_app import content, frames, live, store
from channels_app.threads import in_thread
from notifications.choices import FailureCode
from notifications.providers.base import Failure, OutboundMessage, Outcome, Receipt

Arrival = TypeVar("Arrival")


class InAppProvider:
    """Stores a batch in a constant number of statements, then tells the sockets that are open.

    Idempotent by delivery id: a second send stores nothing and is a Receipt again. The database work runs on a thread
    of the loop's executor with a connection of its own, given back after each batch, so the loop is never blocked and
    nothing depends on a transaction of the caller.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    async def send(self, messages: Sequence[OutboundMessage]) -> list[Outcome]:
        """One outcome per message, in order. When PostgreSQL is away nothing is stored and no attempt is used up."""
        try:
            return await in_thread(self.deliver, messages)
        except (OperationalError, InterfaceError) as error:
            detail = f"The feed could not be written ({type(error).__name__})."
            away = Failure(FailureCode.UNAVAILABLE, temporary=True, detail=detail, attempted=False)
            return [away] * len(messages)

    def deliver(self, messages: Sequence[OutboundMessage]) -> list[Outcome]:
        """The same for synchronous callers. Must not be called inside a transaction: it publishes when it returns."""
        outcomes: list[Outcome] = []
        items: list[store.NewItem] = []
        for message in messages:
            text = content.clean(message)
            if isinstance(text, Failure):
                outcomes.append(text)
                continue
            outcomes.append(Receipt())
            items.append(_item(message, text))
        if not items:
            return outcomes
        insertion = store.insert(items)
        if insertion.gone:
            for n, message in enumerate(messages):
                if message.recipient_id in insertion.gone and isinstance(outcomes[n], Receipt):
                    outcomes[n] = Failure(FailureCode.INVALID_ADDRESS, temporary=False, detail="recipient erased")
        announce(insertion)
        return outcomes


def announce(insertion: store.Insertion) -> None:
    """Push new items to whoever of their owners is looking."""
    by_owner: dict[UUID, list[store.Stored]] = {}
    for one in insertion.stored:
        by_owner.setdefault(one.item.recipient_id, []).append(one)
    push(by_owner, insertion.versions, lambda one: (one.seq, frames.new_item(one)))


def push(
    by_owner: Mapping[UUID, Sequence[Arrival]],
    versions: Mapping[UUID, int],
    entry: Callable[[Arrival], tuple[int, str]],
) -> None:
    """Push what has arrived, in the order of its numbers and with the counts it leads to, to whoever of the owners is
    looking. `versions` are those of the feeds after it; `entry` makes an arrival's number and frame."""
    watching = live.watched(by_owner)
    counts = store.counts(watching)
    messages: dict[UUID, dict[str, Any]] = {}
    for id in watching & counts.keys():
        messages[id] = {
            "type": "feed.items",
            "items": [entry(one) for one in by_owner[id]],
            "version": versions[id],
            "counts": frames.counts(counts[id]),
            "counts_version": counts[id].version,
        }
    live.publish(messages)


def _item(message: OutboundMessage, text: content.FeedContent) -> store.NewItem:
    return store.NewItem(
        id=message.delivery_id,
        recipient_id=message.recipient_id,
        category=message.category,
        title=text.title,
        body=text.body,
        link=text.link,
        icon=text.icon,
        data=text.data,
    )
