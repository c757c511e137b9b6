"""The pipeline end to end on the real servers: accept -> queue -> claim -> render -> send -> record.

    python -m benchmarks.pipeline --notifications 100000 --workers 2 [--transport rabbitmq|database] [--kill]
    python -m benchmarks.pipeline --notifications 1000 --rate 50        # latency when there is little to do

Everything a production send does is on: routing by real preferences, durable commits, publisher confirms, quorum
queues, rendering, events and counts by minute. The provider is simulated and instant, and journals every call. The last
line is one JSON object; the exit code is 1 when a single notification is not accounted for.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import dataset, processes
from benchmarks.environment import environment, start, stop

#: Seconds without any progress after which a run has failed.
STALL = 180.0


def main() -> int:
    options = arguments()
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "provider.journal"
        fixed = {
            "SIMULATOR_SUCCESS_RATE": 1, "SIMULATOR_TEMPORARY_RATE": 0, "SIMULATOR_INVALID_RATE": 0,
            "SIMULATOR_LATENCY_MS": 0, "SIMULATOR_RECEIPTS": 0, "SIMULATOR_JOURNAL": journal,
            "PROVIDER_TIMEOUT_SECONDS": 5,
            "LEASE_SECONDS": options.lease, "VISIBILITY_SECONDS": options.lease + 5,
        }  # fmt: skip
        with environment(options.transport, **fixed):
            import django

            django.setup()
            result = run(options, journal)
    print(json.dumps(result))
    return 0 if result["lost"] == 0 and result["checked"] else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.pipeline", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--notifications", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=2, help="worker processes")
    parser.add_argument("--transport", choices=["rabbitmq", "database"], default="rabbitmq")
    parser.add_argument("--recipients", type=int, default=20_000)
    parser.add_argument("--channel", default="email", choices=["email", "sms", "push", "in_app"])
    parser.add_argument("--chunk", type=int, default=500, help="drafts a transaction")
    parser.add_argument("--lease", type=int, default=90, help="LEASE_SECONDS; shorten it with --kill to wait less")
    parser.add_argument("--kill", action="store_true", help="kill -9 a worker in the middle")
    parser.add_argument("--rate", type=float, default=0.0, help="notifications a second, one by one: latency when idle")
    return parser.parse_args()


def run(options: argparse.Namespace, journal: Path) -> dict[str, Any]:
    """Seed, start the processes, accept everything, wait for the end, check every row."""
    from django.db import connection

    dataset.seed(options.recipients)
    workers = start("run_worker", "--channel", options.channel, "--processes", str(options.workers))
    relay = start("run_relay") if options.transport == "rabbitmq" else None

    def groups() -> dict[str, list[int]]:
        return {
            "accept": [os.getpid()],
            "relay": processes.family(relay.pid) if relay else [],
            "workers": processes.family(workers.pid),
            "postgres": processes.named("postgres"),
            "redis": processes.named("redis-server"),
            "rabbitmq": processes.named("beam.smp"),
        }

    try:
        time.sleep(4.0)  # let them import and connect: this measures the flow, not Python's start
        before = {name: processes.cpu_seconds(pids) for name, pids in groups().items()}
        began = time.monotonic()
        accepted_in = accept(options, lambda: kill_one(workers.pid) if options.kill else None)
        finished = wait_for_the_end(options.notifications)
        elapsed = time.monotonic() - began
        after = {name: processes.cpu_seconds(pids) for name, pids in groups().items()}
        memory = {name: round(processes.peak_rss_mb(pids)) for name, pids in groups().items() if pids}
    finally:
        codes = [stop(process) for process in (workers, relay) if process is not None]
        connection.close()
    n = options.notifications
    return {
        "benchmark": "pipeline",
        "transport": options.transport,
        "notifications": n,
        "workers": options.workers,
        **({"rate_per_s": options.rate} if options.rate else {}),
        "accepted_per_s": round(n / accepted_in),
        "end_to_end_per_s": round(n / elapsed),
        **latencies(),
        "cpu_us_per_notification": {k: round((after[k] - before[k]) / n * 1e6, 1) for k in before},
        "peak_rss_mb": memory,
        "killed": bool(options.kill),
        "exit_codes": codes,
        **check(n, journal, finished),
    }


def accept(options: argparse.Namespace, halfway: Any) -> float:
    """Everything through NotificationService, one transaction a chunk; seconds it took."""
    from notifications.services.notification import NotificationService

    service = NotificationService()
    began, done, fired = time.monotonic(), 0, False
    chunk_size = 1 if options.rate else options.chunk
    for chunk in dataset.drafts(options.notifications, options.recipients, (options.channel,), chunk_size):
        if options.rate:
            time.sleep(max(0.0, began + done / options.rate - time.monotonic()))
        service.send(chunk, source="campaign:1")
        done += len(chunk)
        if not fired and done * 2 >= options.notifications:
            fired = True
            halfway()
    return time.monotonic() - began


def kill_one(parent: int) -> None:
    """kill -9 one worker process; its supervisor starts another."""
    victims = processes.children(parent) or [parent]
    os.kill(victims[0], signal.SIGKILL)
    print(f"killed worker {victims[0]}", file=sys.stderr)


def wait_for_the_end(expected: int) -> bool:
    """Until no delivery is left unfinished, or nothing has moved for STALL seconds."""
    from django.db import connection

    last, moved = -1, time.monotonic()
    while time.monotonic() - moved < STALL:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT coalesce(sum(count), 0) FROM analytics_minutecount WHERE outcome IN ('sent', 'skipped')"
            )
            done = int(cursor.fetchone()[0] or 0)
            if done >= expected:
                cursor.execute("SELECT count(*) FROM notifications_delivery WHERE status IN ('queued', 'sending')")
                if cursor.fetchone()[0] == 0:
                    return True
        if done != last:
            last, moved = done, time.monotonic()
        time.sleep(0.1)
    return False


def latencies() -> dict[str, float]:
    """Milliseconds from acceptance to sent, from the record."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY extract(epoch FROM sent_at - created_at))"
            " FROM notifications_delivery WHERE sent_at IS NOT NULL"
        )
        p50, p99 = cursor.fetchone()[0]
    return {"accept_to_sent_p50_ms": round(p50 * 1000), "accept_to_sent_p99_ms": round(p99 * 1000)}


def check(expected: int, journal: Path, finished: bool) -> dict[str, Any]:
    """Every notification, delivery, event, count and provider call against each other."""
    from django.db import connection

    from notifications.providers.journal import read_journal

    def one(sql: str) -> int:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return int(cursor.fetchone()[0] or 0)

    notifications = one("SELECT count(*) FROM notifications_notification")
    terminal = one("SELECT count(*) FROM notifications_delivery WHERE status IN ('sent', 'skipped')")
    sent = one("SELECT count(*) FROM notifications_delivery WHERE status = 'sent'")
    events = one(
        "SELECT count(DISTINCT delivery_id) FROM notifications_deliveryevent WHERE type IN ('sent', 'skipped')"
    )
    sent_events = one("SELECT count(*) FROM notifications_deliveryevent WHERE type = 'sent'")
    counted = one("SELECT sum(count) FROM analytics_minutecount WHERE outcome = 'sent'")
    outbox = one("SELECT count(*) FROM notifications_outbox")
    calls = read_journal(journal)
    return {
        "lost": expected - min(notifications, terminal, events),
        "sent": sent,
        "skipped": terminal - sent,
        "duplicates": calls.accepted - calls.distinct,
        "rows_checked": notifications + terminal + events,
        "checked": finished and calls.distinct == sent and sent_events == counted and outbox == 0,
    }


if __name__ == "__main__":
    sys.exit(main())
