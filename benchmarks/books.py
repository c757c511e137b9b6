"""The account of a run: every notification, delivery, event, count and provider call against each other."""

import time
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

#: Seconds without any progress after which a run has failed.
STALL = 180.0
#: Every id there is.
ALWAYS = UUID(int=0)


def one(sql: str, *parameters: str | datetime) -> int:
    """The first number a query answers, 0 for none."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return int(cursor.fetchone()[0] or 0)


def finished() -> int:
    """How many deliveries have come to an end so far, from the counters: cheap enough to be asked all the time."""
    return one("SELECT sum(count) FROM analytics_minutecount WHERE outcome IN ('sent', 'skipped')")


def unfinished(since: UUID = ALWAYS) -> int:
    return one(
        "SELECT count(*) FROM notifications_delivery WHERE id >= %s AND status IN ('queued', 'sending')", str(since)
    )


def wait_until_up(processes: int) -> None:
    """Until so many workers and relays have said that they run: imported, connected and about to take work."""
    deadline = time.monotonic() + STALL
    while one("SELECT count(*) FROM notifications_processbeat WHERE kind IN ('worker', 'relay')") < processes:
        if time.monotonic() > deadline:
            raise TimeoutError("The workers and the relay did not start.")
        time.sleep(0.1)


def wait_until_finished(expected: int, since: UUID = ALWAYS) -> bool:
    """Until so many deliveries have ended and none since `since` has not, or nothing has moved for STALL seconds."""
    last, moved = -1, time.monotonic()
    while time.monotonic() - moved < STALL:
        done = finished()
        if done >= expected and unfinished(since) == 0:
            return True
        if done != last:
            last, moved = done, time.monotonic()
        time.sleep(0.1)
    return False


def account(expected: int, journal: Path, since: UUID = ALWAYS) -> dict[str, Any]:
    """What became of `expected` notifications of one delivery each, made since `since`. `checked` says that the record,
    the counters and the provider's own book agree."""
    from notifications.providers.journal import read_journal

    low = str(since)
    notifications = one("SELECT count(*) FROM notifications_notification WHERE id >= %s", low)
    ended = one(
        "SELECT count(*) FROM notifications_delivery WHERE id >= %s AND status IN ('sent', 'skipped', 'delivered')", low
    )
    sent = one("SELECT count(*) FROM notifications_delivery WHERE id >= %s AND sent_at IS NOT NULL", low)
    told = one(
        "SELECT count(DISTINCT delivery_id) FROM notifications_deliveryevent"
        " WHERE id >= %s AND type IN ('sent', 'skipped')",
        low,
    )
    events = one("SELECT count(*) FROM notifications_deliveryevent WHERE id >= %s AND type = 'sent'", low)
    counted = one("SELECT sum(count) FROM analytics_minutecount WHERE outcome = 'sent'")
    outbox = one("SELECT count(*) FROM notifications_outbox")
    calls = read_journal(journal)
    return {
        "lost": expected - min(notifications, ended, told),
        "sent": sent,
        "skipped": ended - sent,
        "duplicates": calls.duplicates,
        "rows_checked": notifications + ended + told,
        "checked": calls.distinct == sent and events == counted and outbox == 0,
    }
