"""Bad weather beside calm, in one run: a channel's first provider down and 10% temporary failures at the second.

    python -m benchmarks.weather [--notifications 50000] [--workers 2] [--temporary 0.1]

The same number of notifications twice over the same processes: first calm, then with the first provider out and the
second failing a share of its messages. Then every notification must have ended as sent, each by one accepted call.
`first_pass_per_s` counts until 85% are sent, before the waits of the retries; `all_s` is until the last. The last line
is one JSON object; the exit code is 1 when a notification did not end where it should.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import dataset
from benchmarks.books import STALL
from benchmarks.environment import environment, instant, start, stop

FIRST, SECOND = "simulated_email", "simulated_email_backup"
#: The share of a run that counts as its first pass: more than that waits for retries in bad weather.
FIRST_PASS = 0.85


def main() -> int:
    options = arguments()
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "provider.journal"
        fixed = {**instant(journal), "PROVIDERS_EMAIL": f"{FIRST},{SECOND}"}
        with environment("rabbitmq", **fixed):
            import django

            django.setup()
            result = run(options, journal)
    print(json.dumps(result))
    return 0 if result["lost"] == 0 and result["duplicates"] == 0 and result["checked"] else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.weather", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--notifications", type=int, default=50_000, help="in each of the two halves")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--recipients", type=int, default=20_000)
    parser.add_argument("--temporary", type=float, default=0.1, help="share of failures at the second provider")
    return parser.parse_args()


def run(options: argparse.Namespace, journal: Path) -> dict[str, Any]:
    from django.db import connection

    from notifications.models import SandboxState
    from notifications.providers.journal import read_journal

    dataset.seed(options.recipients)
    processes = [start("run_worker", "--channel", "email", "--processes", str(options.workers)), start("run_relay")]
    try:
        time.sleep(5.0)
        calm = half(options, "campaign:1", 0)
        SandboxState.objects.create(provider=FIRST, options={"outage": True})
        share = options.temporary
        SandboxState.objects.create(provider=SECOND, options={"success_rate": 1 - share, "temporary_rate": share})
        time.sleep(3.0)  # until every worker has read it
        bad = half(options, "campaign:2", options.notifications)
    finally:
        codes = [stop(process) for process in processes]
        ends = endings()
        connection.close()
    calls = read_journal(journal)
    expected = 2 * options.notifications
    sent = sum(row["count"] for row in ends if row["status"] == "sent")
    skipped = sum(row["count"] for row in ends if row["status"] == "skipped")
    return {
        "benchmark": "weather",
        "notifications": options.notifications,
        "calm": calm,
        "bad": bad,
        "calls": dict(calls.calls),
        "ends": ends,
        "lost": expected - sent - skipped,
        "duplicates": calls.duplicates,
        "checked": calls.distinct == sent and not any(row["status"] in {"queued", "sending"} for row in ends),
        "exit_codes": codes,
    }


def half(options: argparse.Namespace, source: str, offset: int) -> dict[str, float]:
    """Accept one half and wait for its end."""
    from notifications.services.notification import NotificationService

    service, began, total = NotificationService(), time.monotonic(), options.notifications
    for chunk in dataset.drafts(total, options.recipients, ("email",), 500, offset=offset):
        service.send(chunk, source=source)
    accepted = time.monotonic() - began
    first_pass = until(source, FIRST_PASS * total) - began
    everything = until(source, total) - began
    return {
        "accepted_per_s": round(total / accepted),
        "first_pass_per_s": round(FIRST_PASS * total / first_pass),
        "all_s": round(everything, 1),
    }


def until(source: str, count: float) -> float:
    """The moment (monotonic) at which so many of a source had ended. Raises TimeoutError when nothing moves."""
    from django.db import connection

    last, moved = -1, time.monotonic()
    while time.monotonic() - moved < STALL:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT coalesce(sum(count), 0) FROM analytics_minutecount"
                " WHERE source = %s AND outcome IN ('sent', 'skipped', 'failed', 'dead')",
                [source],
            )
            done = int(cursor.fetchone()[0])
        if done >= count:
            return time.monotonic()
        if done != last:
            last, moved = done, time.monotonic()
        time.sleep(0.1)
    raise TimeoutError(f"{source} stands still at {last}")


def endings() -> list[dict[str, Any]]:
    """How the deliveries ended: by source, status and provider."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT source, status, provider, count(*) FROM notifications_delivery d"
            " JOIN notifications_notification n ON n.id = d.notification_id GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
        )
        names = ("source", "status", "provider", "count")
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


if __name__ == "__main__":
    sys.exit(main())
