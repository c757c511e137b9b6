"""What a peer's run left behind: when it ended, how long each took, and whether anything is missing."""

import time
from pathlib import Path
from typing import Any

from django.db import connection

from notifications.providers.journal import read_journal


def _row(sql: str) -> tuple[Any, ...]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        row: tuple[Any, ...] = cursor.fetchone()
        return row


def wait_for_the_end(stall: float) -> bool:
    """Until no delivery is queued; False when nothing has moved for `stall` seconds."""
    last, moved = -1, time.monotonic()
    while time.monotonic() - moved < stall:
        (queued,) = _row("SELECT count(*) FROM peers_peerdelivery WHERE status = 'queued'")
        if queued == 0:
            return True
        if queued != last:
            last, moved = queued, time.monotonic()
        time.sleep(0.1)
    return False


def latencies() -> dict[str, int | None]:
    """Milliseconds from acceptance to sent, from the record; None when nothing was sent."""
    (found,) = _row(
        "SELECT percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY extract(epoch FROM sent_at - created_at))"
        " FROM peers_peerdelivery d JOIN peers_peernotification n ON n.id = d.notification_id WHERE status = 'sent'"
    )
    p50, p99 = (round(seconds * 1000) for seconds in found) if found else (None, None)
    return {"accept_to_sent_p50_ms": p50, "accept_to_sent_p99_ms": p99}


def check(expected: int, journal: Path, finished: bool) -> dict[str, Any]:
    """Every notification, delivery, event and provider call against each other.

    A notification is lost unless its one delivery has ended and exactly one event says how.
    """
    (kept,) = _row(
        "SELECT count(*) FROM peers_peernotification n WHERE 1 ="
        " (SELECT count(*) FROM peers_peerdelivery d WHERE d.notification_id = n.id AND d.status <> 'queued'"
        " AND ARRAY[d.status] = (SELECT array_agg(e.type) FROM peers_peerevent e WHERE e.delivery_id = d.id))"
    )
    (notifications,) = _row("SELECT count(*) FROM peers_peernotification")
    (deliveries,) = _row("SELECT count(*) FROM peers_peerdelivery")
    (events,) = _row("SELECT count(*) FROM peers_peerevent")
    (sent,) = _row("SELECT count(*) FROM peers_peerdelivery WHERE status = 'sent'")
    calls = read_journal(journal)
    return {
        "lost": expected - kept,
        "sent": sent,
        "skipped": deliveries - sent,
        "duplicates": calls.duplicates,
        "rows_checked": notifications + deliveries + events,
        "checked": finished and calls.distinct == sent and notifications == deliveries == events == expected,
    }
