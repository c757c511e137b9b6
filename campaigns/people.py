"""The people behind a number of a campaign's page: pages by key, without a COUNT, each of bounded work."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q, QuerySet

from campaigns import slices
from campaigns.models import Campaign
from notifications.choices import Channel, FailureCode, SkipReason, Status
from notifications.models import Delivery
from preferences.models import Recipient

#: Messages on a page.
PAGE = 50
#: People whose messages one statement looks through. A rare outcome among a million is found over several.
LOOK = 20_000
#: Seconds after which a page is shown with what was found so far, and offers to go on from there.
PATIENCE = 2.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """A number that can be opened: its label, and which deliveries it counts."""

    label: str
    where: Q


#: By the word that stands in the address.
OUTCOMES: Mapping[str, Outcome] = {
    "all": Outcome("All messages", Q()),
    "waiting": Outcome("On their way", Q(status__in=[Status.QUEUED, Status.SENDING])),
    "sent": Outcome("Sent", Q(sent_at__isnull=False)),
    "delivered": Outcome("Delivered", Q(delivered_at__isnull=False)),
    "opened": Outcome("Opened", Q(opened_at__isnull=False)),
    "clicked": Outcome("Clicked", Q(clicked_at__isnull=False)),
    "skipped": Outcome("Skipped", Q(status=Status.SKIPPED)),
    "failed": Outcome("Failed", Q(status__in=[Status.FAILED, Status.BOUNCED, Status.DEAD])),
}
#: The reasons that narrow an outcome further, in words.
REASONS: Mapping[str, Mapping[str, str]] = {
    "skipped": {value: str(label) for value, label in SkipReason.choices},
    "failed": {value: str(label) for value, label in FailureCode.choices},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which messages: an outcome, and where given one channel and one reason."""

    outcome: str = "all"
    channel: str = ""
    reason: str = ""

    @classmethod
    def read(cls, given: Mapping[str, str]) -> "Wanted":
        """From an address; a word that says nothing here is left aside."""
        outcome = given.get("outcome", "")
        outcome = outcome if outcome in OUTCOMES else "all"
        channel, reason = given.get("channel", ""), given.get("reason", "")
        return cls(
            outcome=outcome,
            channel=channel if channel in Channel.values else "",
            reason=reason if reason in REASONS.get(outcome, {}) else "",
        )

    @property
    def words(self) -> str:
        """What is listed, as a heading: Skipped on SMS: No address."""
        on = f" on {Channel(self.channel).label}" if self.channel else ""
        why = f": {REASONS[self.outcome][self.reason]}" if self.reason else ""
        return f"{OUTCOMES[self.outcome].label}{on}{why}"

    def narrow(self, deliveries: QuerySet[Delivery]) -> QuerySet[Delivery]:
        deliveries = deliveries.filter(OUTCOMES[self.outcome].where)
        if self.channel:
            deliveries = deliveries.filter(channel=self.channel)
        if self.reason:
            deliveries = deliveries.filter(
                **{"skip_reason" if self.outcome == "skipped" else "error_code": self.reason}
            )
        return deliveries


@dataclass(frozen=True, slots=True)
class Person:
    """One message to one person; `recipient` is None for who was erased."""

    delivery: Delivery
    recipient: Recipient | None


@dataclass(frozen=True, slots=True)
class Page:
    """`next` is where the following page begins, None at the end. A page that is not full and has a `next` ran out of
    patience, not of people."""

    people: list[Person]
    next: str | None


#: Where a list goes on: behind this message of this notification.
Cursor = tuple[UUID, UUID]


def cursor_of(text: str) -> Cursor | None:
    """From an address; None, the beginning, where it says nothing."""
    notification, _, delivery = text.partition("~")
    try:
        return UUID(notification), UUID(delivery)
    except ValueError:
        return None


def page(campaign: Campaign, wanted: Wanted, after: Cursor | None = None) -> Page:
    """The next PAGE people in the order of their notifications' ids, which is nobody's order but stays the same."""
    found: list[Delivery] = []
    began = time.monotonic()
    for rows, reached in _walk(campaign, wanted, after, PAGE + 1):
        found += rows
        if len(found) > PAGE:
            last = found[PAGE - 1]
            return Page(_people(found[:PAGE]), f"{last.notification_id}~{last.pk}")
        if reached is not None and time.monotonic() - began > PATIENCE:
            return Page(_people(found), f"{reached[0]}~{reached[1]}")
    return Page(_people(found), None)


def everyone(campaign: Campaign, wanted: Wanted) -> Iterator[list[Person]]:
    """All of them, a few thousand at a time."""
    for rows, _ in _walk(campaign, wanted, None, None):
        if rows:
            yield _people(rows)


def _walk(
    campaign: Campaign, wanted: Wanted, after: Cursor | None, limit: int | None
) -> Iterator[tuple[list[Delivery], Cursor | None]]:
    """Slice by slice: what was found there, and where the next begins (None behind the last). With a limit a slice is
    left once it is reached: the caller stops."""
    if campaign.started_at is None:
        return
    # An export reads all columns of all rows: smaller bites.
    step = slices.holding(campaign, LOOK if limit else LOOK // 10)
    first = slices.number_of(after[0]) if after else 0
    while first < slices.SLICES:
        last = min(slices.SLICES, first + step)
        low, high = slices.bounds(campaign, first, last)
        rows = wanted.narrow(_of(campaign)).filter(notification_id__gte=low, notification_id__lt=high)
        if after is not None:
            rows = rows.filter(Q(notification_id__gt=after[0]) | Q(notification_id=after[0], pk__gt=after[1]))
            after = None
        ordered = rows.order_by("notification_id", "pk")
        yield list(ordered[:limit] if limit else ordered), (high, UUID(int=0)) if last < slices.SLICES else None
        first = last


def _of(campaign: Campaign) -> QuerySet[Delivery]:
    """Its deliveries. Their ids are of the same moment as their notifications', so one week of the record is read."""
    low, high = campaign.id_range
    return Delivery.objects.filter(pk__gte=low, pk__lt=high, notification__source=campaign.source)


def _people(deliveries: list[Delivery]) -> list[Person]:
    known = Recipient.objects.only("external_id", "name", "locale").in_bulk({row.recipient_id for row in deliveries})
    return [Person(row, known.get(row.recipient_id)) for row in deliveries]
