"""Does a critical notification notice 100,000 low ones? Idle and loaded, one after the other on the same processes.

    python -m benchmarks.isolation [--low 100000] [--rate 40] [--seconds 8] [--workers 2] [--no-critical-worker]

First criticals alone, at a steady rate; then the same while the low ones, all due at one moment, are worked off. One
worker process serves the critical lane alone, as docs/operations.md advises, unless told otherwise. The last line is
one JSON object; the exit code is 1 when something is lost or low stood still.
"""

import argparse
import json
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks import dataset
from benchmarks.environment import environment, start, stop
from benchmarks.pipeline import check, wait_for_the_end


def main() -> int:
    options = arguments()
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "provider.journal"
        fixed = {
            "SIMULATOR_SUCCESS_RATE": 1, "SIMULATOR_TEMPORARY_RATE": 0, "SIMULATOR_INVALID_RATE": 0,
            "SIMULATOR_LATENCY_MS": 0, "SIMULATOR_RECEIPTS": 0, "SIMULATOR_JOURNAL": journal,
        }  # fmt: skip
        with environment("rabbitmq", **fixed):
            import django

            django.setup()
            result = run(options, journal)
    print(json.dumps(result))
    return 0 if result["lost"] == 0 and result["checked"] and result["low_sent_meanwhile"] else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.isolation", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--low", type=int, default=100_000)
    parser.add_argument("--rate", type=float, default=40.0, help="critical notifications a second")
    parser.add_argument("--seconds", type=float, default=8.0, help="of criticals, idle and loaded")
    parser.add_argument("--workers", type=int, default=2, help="worker processes for all lanes")
    parser.add_argument("--recipients", type=int, default=20_000)
    parser.add_argument("--no-critical-worker", action="store_true", help="no process of its own for critical")
    return parser.parse_args()


def run(options: argparse.Namespace, journal: Path) -> dict[str, Any]:
    from django.db import connection

    dataset.seed(options.recipients)
    processes = [start("run_worker", "--channel", "email", "--processes", str(options.workers)), start("run_relay")]
    if not options.no_critical_worker:
        processes.append(start("run_worker", "--channel", "email", "--priority", "critical"))
    try:
        time.sleep(5.0)  # let them import and connect
        criticals = int(options.rate * options.seconds)
        send_critical(options, criticals, "campaign:1", offset=0)
        due = queue_low(options)
        time.sleep(max(0.0, (due - datetime.now(UTC)).total_seconds()))
        send_critical(options, criticals, "campaign:2", offset=criticals)
        meanwhile = low_sent()
        finished = wait_for_the_end(options.low + 2 * criticals)
        figures = {"idle": latency("campaign:1"), "loaded": latency("campaign:2")}
    finally:
        codes = [stop(process) for process in processes]
        connection.close()
    return {
        "benchmark": "isolation",
        "low_queued": options.low,
        "critical_per_s": options.rate,
        "critical_worker": not options.no_critical_worker,
        "accept_to_sent_ms": figures,
        "low_sent_meanwhile": meanwhile,
        "exit_codes": codes,
        **check(options.low + 2 * criticals, journal, finished),
    }


def queue_low(options: argparse.Namespace) -> datetime:
    """Accept the low ones, all due at one later moment, which is returned."""
    from dataclasses import replace

    from notifications.services.notification import NotificationService

    service = NotificationService()
    due = datetime.now(UTC) + timedelta(seconds=10 + options.low / 6000)
    for chunk in dataset.drafts(options.low, options.recipients, ("email",), 500):
        service.send([replace(draft, priority="low", send_at=due) for draft in chunk], source="campaign:3")
    return due


def send_critical(options: argparse.Namespace, count: int, source: str, *, offset: int) -> None:
    """One by one, at the rate, from the moment of the call."""
    from dataclasses import replace

    from notifications.services.notification import NotificationService

    service = NotificationService()
    began = time.monotonic()
    for n, chunk in enumerate(dataset.drafts(count, options.recipients, ("email",), 1)):
        time.sleep(max(0.0, began + n / options.rate - time.monotonic()))
        draft = replace(chunk[0], priority="critical", data={**chunk[0].data, "order": f"C-{offset + n}"})
        service.send([draft], source=source)


def low_sent() -> int:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM notifications_delivery WHERE priority = 'low' AND status = 'sent'")
        return int(cursor.fetchone()[0])


def latency(source: str) -> dict[str, int]:
    """p50, p99 and the longest, in milliseconds from acceptance to sent."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT percentile_cont(ARRAY[0.5, 0.99, 1])"
            " WITHIN GROUP (ORDER BY extract(epoch FROM sent_at - d.created_at))"
            " FROM notifications_delivery d JOIN notifications_notification n ON n.id = d.notification_id"
            " WHERE sent_at IS NOT NULL AND source = %s",
            [source],
        )
        p50, p99, longest = (round(seconds * 1000) for seconds in cursor.fetchone()[0])
    return {"p50": p50, "p99": p99, "max": longest}


if __name__ == "__main__":
    sys.exit(main())
