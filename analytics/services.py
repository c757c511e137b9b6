"""Proof that the counters tell the truth: they are compared with the events they were counted from."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from analytics.rollups import record, spans
from notifications.observers import OutcomeKey

_COUNTED = """
SELECT minute, source, category_id, channel, provider, outcome, reason, sum(count)::bigint
  FROM analytics_minutecount
 WHERE minute >= %(since)s AND minute < %(until)s AND outcome = ANY(%(retold)s)
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
    span = record.span(spans.floor(since), spans.floor(until))
    counted, happened = _read(_COUNTED, span), _read(record.HAPPENED, span)
    return [
        Discrepancy(minute, key, counted.get((minute, key), 0), happened.get((minute, key), 0))
        for minute, key in sorted(counted.keys() | happened.keys())
        if counted.get((minute, key), 0) != happened.get((minute, key), 0)
    ]


def _read(query: str, span: dict[str, Any]) -> dict[tuple[datetime, OutcomeKey], int]:
    with connection.cursor() as cursor:
        cursor.execute(query, span)
        return {(row[0], OutcomeKey(*row[1:7])): row[7] for row in cursor.fetchall()}
