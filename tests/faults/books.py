"""The ledger's second and third book: what the providers saw, and what stands on the record."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import psycopg

from analytics.rollups import record

ACCEPTED = "accepted"


class Call(NamedTuple):
    """One message as a provider received it; `at` in Unix seconds, by the machine's clock."""

    delivery: str
    attempt: int
    provider: str
    outcome: str
    at: float


def read_calls(journal: Path) -> list[Call]:
    """Every call, in the order of the journal. A last line that a killed process left half-written is no call's end."""
    calls = []
    for line in journal.read_text(encoding="ascii").splitlines(keepends=True):
        if line.endswith("\n"):
            delivery, attempt, provider, outcome, _segments, at = line.rstrip("\n").split("\t")
            calls.append(Call(str(UUID(delivery)), int(attempt), provider, outcome, float(at)))
    return calls


@dataclass(frozen=True, slots=True)
class Delivery:
    """A row of the record."""

    id: str
    notification: str
    channel: str
    device: str
    status: str
    reason: str
    recipient: str


class Event(NamedTuple):
    id: str
    type: str
    at: datetime
    attempt: int
    code: str


@dataclass(frozen=True, slots=True)
class Record:
    """PostgreSQL in one snapshot."""

    deliveries: dict[str, Delivery]
    events: dict[str, list[Event]]  # by delivery, in the order of their times
    notifications: set[str]
    counted: dict[tuple[Any, ...], int]
    happened: dict[tuple[Any, ...], int]
    declined: dict[str, int]  # by provider: asked in vain, and the next one had it

    def of(self, notification: str) -> list[Delivery]:
        return [d for d in self.deliveries.values() if d.notification == notification]


_DELIVERIES = """
    SELECT d.id::text, d.notification_id::text, d.channel, coalesce(d.device_token_id::text, ''), d.status,
           d.skip_reason, r.external_id
      FROM notifications_delivery d JOIN preferences_recipient r ON r.id = d.recipient_id
"""
_EVENTS = """
    SELECT delivery_id::text, id::text, type, at, attempt, code FROM notifications_deliveryevent ORDER BY at, id
"""
_EVER = datetime(2001, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
#: What is counted without an event: whoever was asked in vain is held against the providers' journal instead.
_UNTOLD = "('accepted', 'queued', 'receipt', 'declined')"
_COUNTED = f"""
    SELECT minute, source, category_id, channel, provider, outcome, reason, sum(count)::bigint
      FROM analytics_minutecount WHERE outcome NOT IN {_UNTOLD} GROUP BY 1, 2, 3, 4, 5, 6, 7
"""
_DECLINED = "SELECT provider, sum(count)::bigint FROM analytics_minutecount WHERE outcome = 'declined' GROUP BY 1"


def read_record(url: str) -> Record:
    """Everything, so for runs of some ten thousand deliveries."""
    with psycopg.connect(url) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        deliveries = {row[0]: Delivery(*row) for row in connection.execute(_DELIVERIES)}
        events: dict[str, list[Event]] = defaultdict(list)
        for delivery, *event in connection.execute(_EVENTS):
            events[delivery].append(Event(*event))
        notifications = {row[0] for row in connection.execute("SELECT id::text FROM notifications_notification")}
        counted = {row[:7]: row[7] for row in connection.execute(_COUNTED)}
        happened = {row[:7]: row[7] for row in connection.execute(record.HAPPENED, record.span(*_EVER))}
        declined = dict(connection.execute(_DECLINED).fetchall())
    return Record(deliveries, events, notifications, counted, happened, declined)
