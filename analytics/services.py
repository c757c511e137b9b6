"""Proof that the counters tell the truth: they are compared with the events they were counted from."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from core.ids import floor
from notifications.choices import EventType
from notifications.observers import OutcomeKey

#: An event's id is made by the process that writes it, its time by the database: clocks may differ by this much.
CLOCK_SLACK = timedelta(hours=1)

_EVENTS = """
SELECT date_trunc('minute', e.at), n.source, n.category_id, d.channel, e.provider, e.type, e.code, count(*)
  FROM notifications_deliveryevent e
  JOIN notifications_delivery d ON d.id = e.delivery_id
  JOIN notifications_notification n ON n.id = d.notification_id
 WHERE e.id >= %(low)s AND e.id < %(high)s AND e.at >= %(since)s AND e.at < %(until)s
 GROUP BY 1, 2, 3, 4, 5, 6, 7
"""
_COUNTERS = """
SELECT minute, source, category_id, channel, provider, outcome, reason, sum(count)::bigint
  FROM analytics_minutecount
 WHERE minute >= %(since)s AND minute < %(until)s AND outcome = ANY(%(types)s)
 GROUP BY 1, 2, 3, 4, 5, 6, 7
"""


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """One counter that differs from its events."""

    minute: datetime
    key: OutcomeKey
    counted: int
    happened: int


def verify(since: datetime, until: datetime) -> list[Discrepancy]:
    """Compare counters and events of the whole minutes in [since, until); an empty list is the proof.

    Reads the events of that span, so keep it to hours on a busy system, and leave out the minute that is running.
    """
    since, until = (moment.replace(second=0, microsecond=0) for moment in (since, until))
    span = {
        "since": since,
        "until": until,
        "low": floor(since - CLOCK_SLACK),
        "high": floor(until + CLOCK_SLACK),
        "types": EventType.values,
    }
    counted, happened = _read(_COUNTERS, span), _read(_EVENTS, span)
    return [
        Discrepancy(minute, key, counted.get((minute, key), 0), happened.get((minute, key), 0))
        for minute, key in sorted(counted.keys() | happened.keys())
        if counted.get((minute, key), 0) != happened.get((minute, key), 0)
    ]


def _read(query: str, span: dict[str, Any]) -> dict[tuple[datetime, OutcomeKey], int]:
    with connection.cursor() as cursor:
        cursor.execute(query, span)
        return {(row[0], OutcomeKey(*row[1:7])): row[7] for row in cursor.fetchall()}
