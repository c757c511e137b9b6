"""Opens and clicks: what a batch of them does. A part of DeliveryTracker, which holds the rows' locks.

The first by a person sets `opened_at` or `clicked_at` and is an OPENED or CLICKED event; who clicked has opened, so a
click that comes first brings its own OPENED. What comes after it through our own links and pixel is REOPENED and
RECLICKED; a provider that reports the same again is not heard, since nobody knows whether it only repeats itself. What
a program did is MACHINE and moves nothing.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db.backends.utils import CursorWrapper

from core.ids import Key
from core.postgresql.direct import KeyArray
from notifications.choices import BY_CLICK, Channel, EventType, MachineKind, Status
from notifications.services import tracking_sql as sql
from notifications.services.claims import ProviderReceipt

TYPES = frozenset({EventType.OPENED, EventType.CLICKED})
#: Where a hit on our own addresses comes from: it is one of its own, and no provider's word.
OWN = frozenset({"link", "pixel"})
#: Events of this kind that one delivery keeps. The first by a person is kept whatever came before.
MAX_KEPT = 100
#: Seconds from a provider's yes within which nobody can have read the message. An email has to be accepted, filed and
#: fetched; a push message or a text lights up a telephone; a feed item may be there before the record of it.
TOO_SOON = {Channel.EMAIL.value: 3.0, Channel.SMS.value: 1.0, Channel.PUSH.value: 0.5}
#: So many different links of one message within so many seconds are no person's doing.
BURST_LINKS, BURST_SECONDS = 3, 3.0

#: Outcomes that are counted once per notification, on however many channels and devices it was read.
PEOPLE = {EventType.OPENED: "opened_people", EventType.CLICKED: "clicked_people"}

_NOWHERE = frozenset({Status.SKIPPED.value, Status.FAILED.value, Status.DEAD.value})
_AGAIN = {EventType.OPENED: EventType.REOPENED, EventType.CLICKED: EventType.RECLICKED}


class News(NamedTuple):
    """An event to be written, and the receipt it comes from."""

    delivery: Key
    notification: Key
    channel: str
    type: EventType
    provider: str
    code: str
    receipt: ProviderReceipt


class Weighed(NamedTuple):
    """What a batch of opens and clicks comes to. `people`: those of `news` that are the first of their notification;
    `applied`: the receipts that changed something, by who said it."""

    news: list[News]
    people: list[News]
    applied: list[str]


@dataclass(slots=True)
class _Standing:
    """One delivery as it is, and as the batch makes it."""

    notification: Key
    channel: str
    is_nowhere: bool  # it never left: nobody can have read it
    sent_at: datetime | None
    done: set[EventType]
    kept: int = 0
    links: set[str] = field(default_factory=set)  # followed a moment ago
    told: set[tuple[str, str]] = field(default_factory=set)  # what providers said of programs: (provider, code)


def kin(cursor: CursorWrapper, hits: Sequence[ProviderReceipt]) -> set[Key]:
    """The other deliveries of what is opened or clicked for the first time: locked with it, since who reads a message
    on two channels is one person."""
    told = {hit.delivery_id.bytes for hit in hits if not hit.machine}
    if not told:
        return set()
    cursor.execute(sql.UNREAD, sql.within(told))
    unread = {row[0] for row in cursor.fetchall()}
    if not unread:
        return set()
    first, last = sql.brothers_range(told)
    cursor.execute(sql.BROTHERS, [KeyArray.of(unread), first, last])
    return {row[0] for row in cursor.fetchall()}


def apply(cursor: CursorWrapper, hits: Sequence[ProviderReceipt], locked: Collection[Key]) -> Weighed:
    """Set what these hits set and say what happened; `locked` are the deliveries that exist, with their kin."""
    hits = [hit for hit in hits if hit.delivery_id.bytes in locked]
    if not hits:
        return Weighed([], [], [])
    standing = _standing(cursor, locked)
    _recall(cursor, hits, standing)
    weighed = weigh(hits, standing)
    for type, statement in sql.READ.items():
        if first := [one.delivery for one in weighed.news if one.type is type]:
            cursor.execute(statement, sql.within(first))
    return weighed


def weigh(hits: Iterable[ProviderReceipt], standing: dict[Key, _Standing]) -> Weighed:
    """What hits come to, one after the other. Pure but for `standing`, which it moves on."""
    weighed = Weighed([], [], [])
    read = {(one.notification, type) for one in standing.values() for type in one.done}
    for hit in hits:
        delivery = hit.delivery_id.bytes
        one = standing[delivery]
        provider = "" if hit.provider in OWN else hit.provider
        happened = _happened(hit, one)
        for type, code in happened:
            news = News(delivery, one.notification, one.channel, type, provider, code, hit)
            weighed.news.append(news)
            one.kept += 1
            if type in PEOPLE:
                one.done.add(type)
                if (one.notification, type) not in read:
                    read.add((one.notification, type))
                    weighed.people.append(news)
        if happened:
            weighed.applied.append(hit.provider)
    return weighed


def _happened(hit: ProviderReceipt, one: _Standing) -> list[tuple[EventType, str]]:
    """The events of one hit, each with its code."""
    if one.is_nowhere:
        return []
    if kind := hit.machine or _betrayed(hit, one):
        code = f"{'open' if hit.type is EventType.OPENED else 'click'}:{kind}"
        is_new = hit.provider in OWN or (hit.provider, code) not in one.told
        one.told.add((hit.provider, code))
        return [(EventType.MACHINE, code)] if is_new and one.kept < MAX_KEPT else []
    if hit.type in one.done:
        return [(_AGAIN[hit.type], "")] if hit.provider in OWN and one.kept < MAX_KEPT else []
    if hit.type is EventType.CLICKED and EventType.OPENED not in one.done:
        return [(EventType.OPENED, BY_CLICK), (EventType.CLICKED, hit.code)]
    return [(hit.type, hit.code)]


def _betrayed(hit: ProviderReceipt, one: _Standing) -> str:
    """What gives a program away that says nothing of itself; only of hits of our own, whose moment we know."""
    if hit.provider not in OWN or hit.at is None:
        return ""
    soon = TOO_SOON.get(one.channel, 0.0)
    if one.sent_at is not None and hit.at - one.sent_at < timedelta(seconds=soon):
        return MachineKind.TOO_SOON.value
    return MachineKind.BURST.value if hit.type is EventType.CLICKED and len(one.links) >= BURST_LINKS else ""


def _standing(cursor: CursorWrapper, locked: Collection[Key]) -> dict[Key, _Standing]:
    cursor.execute(sql.STANDING, sql.within(locked))
    return {
        id: _Standing(
            notification,
            channel,
            status in _NOWHERE,
            sent_at,
            {type for type, at in ((EventType.OPENED, opened_at), (EventType.CLICKED, clicked_at)) if at is not None},
        )
        for id, notification, channel, status, sent_at, opened_at, clicked_at in cursor.fetchall()
    }


def _recall(cursor: CursorWrapper, hits: Sequence[ProviderReceipt], standing: dict[Key, _Standing]) -> None:
    """How much is kept of these deliveries already, and which links were followed just now: what was recorded, what is
    in the batch and what waits behind it. A first open asks for neither."""
    told = {
        hit.delivery_id.bytes
        for hit in hits
        if hit.machine or (hit.provider in OWN and (hit.type is EventType.CLICKED or hit.type in _done(standing, hit)))
    }
    if not told:
        return
    cursor.execute(sql.ENGAGED, [KeyArray.of(told), sql.since(told), BURST_SECONDS * 2])
    for id, kept, links, told_before in cursor.fetchall():
        standing[id].kept = kept
        standing[id].links.update(links or ())
        standing[id].told.update(tuple(one.split(" ", 1)) for one in told_before or ())
    for hit in hits:
        if hit.type is EventType.CLICKED and hit.provider in OWN:
            standing[hit.delivery_id.bytes].links.add(hit.detail)
    cursor.execute(sql.FOLLOWING, [KeyArray.of(told), BURST_SECONDS])
    for id, link in cursor.fetchall():
        standing[id].links.add(link)


def _done(standing: dict[Key, _Standing], hit: ProviderReceipt) -> set[EventType]:
    return standing[hit.delivery_id.bytes].done
