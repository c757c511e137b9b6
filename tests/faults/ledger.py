"""The checks of the ledger: three books against each other. Each raises AssertionError with what it found.

They know the product's vocabulary and none of its code: the fold of a delivery's events is written here once more.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from tests.faults.books import ACCEPTED, Call, Delivery, Event, Record
from tests.faults.client import Book

TERMINAL = frozenset({"sent", "delivered", "skipped", "bounced", "failed", "dead"})
#: A provider took it.
TAKEN = frozenset({"sent", "delivered", "bounced"})
#: What may stand in the timeline of a delivery that no provider was ever asked to take.
UNASKED = frozenset({"skipped", "rescued"})
#: The same of one that nobody took: a throttling provider is asked, and what it turns away is held.
UNTAKEN = UNASKED | {"held"}
#: A provider's word that it did not take a message, which then goes to the next.
NOT_TAKEN = frozenset({"unavailable", "throttled"})
#: The outcome of the call is unknown: nobody can say whether the provider took the message.
UNKNOWN = frozenset({"timeout", "internal"})
#: The code of a send that may be the second.
MAYBE_TWICE = "maybe_twice"
SHOWN = 5


class Duplicates(NamedTuple):
    """`injected`: accepted calls beyond the first of each delivery; `counted`: deliveries that the record says may have
    been sent twice; `allowed`: what the crashes and unknown outcomes of the run explain."""

    injected: int
    counted: int
    allowed: int


def every_acceptance_has_ended(book: Book, record: Record) -> None:
    """1: every 202 ends in exactly one terminal state per (notification, channel, address); nothing else is there."""
    ids = [accepted.id for accepted in book.accepted]
    _none("notifications were accepted twice", [id for id, times in Counter(ids).items() if times > 1])
    _none("notifications were accepted and are not on the record", set(ids) - record.notifications)
    _none("notifications are on the record and nobody was told", record.notifications - set(ids))
    rows = Counter((d.notification, d.channel, d.device) for d in record.deliveries.values())
    _none("deliveries stand there twice", [key for key, times in rows.items() if times > 1])
    wanted = {(a.id, channel) for a in book.accepted for channel in a.channels}
    found = {(notification, channel) for notification, channel, _ in rows}
    _none("channels that were asked for have no delivery", wanted - found)
    _none("deliveries have not ended", [d.id for d in record.deliveries.values() if d.status not in TERMINAL])


def sent_means_taken(record: Record, calls: Sequence[Call]) -> None:
    """2: sent, delivered or bounced means at least one accepted call; skipped before it was ever offered means none."""
    accepted = {call.delivery for call in calls if call.outcome == ACCEPTED}
    asked = {call.delivery for call in calls}
    _none(
        "deliveries count as sent and no provider took them",
        [
            d.id
            for d in record.deliveries.values()
            if d.status in TAKEN and d.channel != "in_app" and d.id not in accepted
        ],
    )
    skipped = {d.id: {e.type for e in record.events[d.id]} for d in record.deliveries.values() if d.status == "skipped"}
    _none(
        "deliveries were skipped and a provider was asked all the same",
        [id for id, types in skipped.items() if types <= UNASKED and id in asked],
    )
    _none(
        "deliveries were skipped and a provider took them all the same",
        [id for id, types in skipped.items() if types <= UNTAKEN and id in accepted],
    )
    _none("providers took deliveries that nobody made", accepted - record.deliveries.keys())


def duplicates_are_bounded(record: Record, calls: Sequence[Call], *, allowed: int) -> Duplicates:
    """3: none without a crash or an unknown outcome, and the record knows of each. Returns the figures.

    `allowed`: messages that processes had with providers in the moment they were killed.
    """
    accepted = Counter(call.delivery for call in calls if call.outcome == ACCEPTED)
    repeated = {delivery: times - 1 for delivery, times in accepted.items() if times > 1}
    unknown = sum(1 for events in record.events.values() for e in events if e.type == "deferred" and e.code in UNKNOWN)
    counted = {delivery for delivery, events in record.events.items() if _may_be_twice(events)}
    _none("deliveries were sent twice and the record does not know", repeated.keys() - counted)
    found = Duplicates(sum(repeated.values()), len(counted), allowed + unknown)
    assert found.injected <= found.allowed, f"more duplicates than crashes and unknown outcomes explain: {found}"
    return found


def _may_be_twice(events: Sequence[Event]) -> bool:
    """A send after an attempt of unknown outcome is marked; so is, by itself, one that two workers each brought."""
    sent = [event for event in events if event.type == "sent"]
    return len(sent) > 1 or any(event.code == MAYBE_TWICE for event in sent)


def count(record: Record, type: str) -> int:
    return sum(event.type == type for events in record.events.values() for event in events)


def nobody_was_sent_what_they_stopped(book: Book, record: Record, calls: Sequence[Call], *, under_way: float) -> None:
    """4: no call starts after a committed cancel, opt-out or expiry.

    A cancel moves what is queued, so after its answer nothing may be offered at all. Opt-outs and expiry are looked at
    when a worker claims: a claim from before may be acted on for `under_way` seconds.
    """
    by_notification = defaultdict(list)
    for delivery in record.deliveries.values():
        by_notification[delivery.notification].append(delivery)
    expiry = {a.id: a.expires for a in book.accepted if a.expires is not None}
    late = []
    for call in calls:
        delivery = record.deliveries.get(call.delivery)
        if delivery is None:
            continue
        stopped = _stopped_at(delivery, book, expiry, under_way)
        if call.at > stopped:
            late.append(f"{call.delivery} by {call.at - stopped:.3f} s")
    _none("calls began after what should have stopped them", late)


def _stopped_at(delivery: Delivery, book: Book, expiry: Mapping[str, float | None], under_way: float) -> float:
    moments = [float("inf")]
    if delivery.reason == "cancelled" and delivery.notification in book.cancelled:
        moments.append(book.cancelled[delivery.notification])
    if (opted_out := book.opted_out.get((delivery.recipient, delivery.channel))) is not None:
        moments.append(opted_out + under_way)
    if (expires := expiry.get(delivery.notification)) is not None:
        moments.append(expires + under_way)
    return min(moments)


def no_window_exceeds(calls: Sequence[Call], *, provider: str, most: int, seconds: float) -> None:
    """6: in any sliding window of `seconds` the provider was offered at most `most` messages."""
    times = sorted(call.at for call in calls if call.provider == provider)
    for index, end in enumerate(times):
        inside = index + 1 - bisect_left(times, end - seconds + 1e-6)
        assert inside <= most, f"{inside} calls to {provider} in the {seconds:g} s up to {end:.3f}; {most} are allowed"


def fold(events: Iterable[Event]) -> str:
    """The status that a delivery's events tell; `queued` also stands for `sending`, which has no event of its own."""
    status = "queued"
    for event in events:
        if status in _FROM.get(event.type, ()):
            status = "queued" if event.type == "replayed" else event.type
    return status


_FROM: dict[str, frozenset[str]] = {
    "sent": frozenset({"queued"}),
    "delivered": frozenset({"queued", "sent"}),
    "bounced": frozenset({"queued", "sent", "delivered"}),
    "skipped": frozenset({"queued"}),
    "failed": frozenset({"queued"}),
    "dead": frozenset({"queued"}),
    "replayed": frozenset({"dead"}),
}


def status_is_the_fold_of_events(record: Record) -> None:
    """8, first half."""
    wrong = []
    for delivery in record.deliveries.values():
        told, stands = fold(record.events.get(delivery.id, ())), delivery.status.replace("sending", "queued")
        if told != stands:
            types = " ".join(event.type for event in record.events.get(delivery.id, ()))
            wrong.append(f"{delivery.id} is {stands}, its events ({types}) say {told}")
    _none("deliveries differ from the fold of their events", wrong)


def counters_are_the_sum_of_events(record: Record) -> None:
    """8, second half."""
    keys = record.counted.keys() | record.happened.keys()
    different = [
        f"{key}: counted {record.counted.get(key, 0)}, happened {record.happened.get(key, 0)}"
        for key in keys
        if record.counted.get(key, 0) != record.happened.get(key, 0)
    ]
    _none("counters differ from the events", different)


def who_declined_was_asked(record: Record, calls: Sequence[Call]) -> int:
    """8, for the one counter that no event tells of: no provider is said to have been asked in vain more often than its
    journal has it. Less often it may be: a worker that is killed takes the news with it. Returns how often in all."""
    said = Counter(call.provider for call in calls if call.outcome in NOT_TAKEN)
    more = [f"{provider}: {n} of {said[provider]}" for provider, n in record.declined.items() if n > said[provider]]
    _none("providers were asked in vain less often than it was counted", more)
    return sum(record.declined.values())


def events_only_grew(before: Record, after: Record) -> None:
    """8: what was told once stays told."""
    known = {event for events in after.events.values() for event in events}
    lost = [event.id for events in before.events.values() for event in events if event not in known]
    _none("events changed or vanished", lost)


def nothing_new_was_told(before: Record, after: Record) -> None:
    """8: receipts that come again, in whatever order, are no-ops."""
    old = {event.id for events in before.events.values() for event in events}
    new = [e.type for events in after.events.values() for e in events if e.id not in old]
    _none("repeated receipts made events", new)
    moved = [id for id, d in after.deliveries.items() if before.deliveries[id].status != d.status]
    _none("repeated receipts moved deliveries", moved)


def _none(sentence: str, found: Iterable[object]) -> None:
    listed = list(found)
    shown = "; ".join(map(str, listed[:SHOWN]))
    assert not listed, f"{len(listed)} {sentence}: {shown}"
