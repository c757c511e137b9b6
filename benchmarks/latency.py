"""Does a critical notification notice a backlog of a million low ones? Idle, while it is accepted, while it is sent.

    python -m benchmarks.latency [--backlog 1000000] [--rate 20] [--idle 20] [--workers 2] [--critical-worker]

Criticals come at a steady rate all the time, from a process of their own. First nothing else happens. Then the backlog
is accepted, for later, so that it is whole when its moment comes; then all of it is due at once, and is worked off.
With --at-once it is due as it is accepted, and both happen together. A latency counts from the moment the call was due,
so that one which had to wait for its turn counts that too, until its sending stood on the record.

The last line is one JSON object; the exit code is 1 when something is lost, low stood still, or a bound is broken: p99
250 ms idle, 1 s beside the backlog.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from benchmarks import books, criticals, dataset, processes
from benchmarks.environment import environment, instant, start, stop

#: Milliseconds that a critical notification may take at p99.
IDLE_BOUND, LOADED_BOUND = 250, 1000
#: The backlog is accepted for a moment this far ahead, which is then brought forward.
LATER = timedelta(hours=6)
CHUNK = 500
WARM_UP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of the run in Unix seconds, and the low notifications sent in it."""

    name: str
    since: float
    until: float
    low_sent: int = 0


def main() -> int:
    options = arguments()
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "provider.journal"
        fixed = instant(journal)
        with environment(options.transport, **fixed):
            import django

            django.setup()
            result = run(options, journal, Path(folder) / "criticals")
    print(json.dumps(result))
    return 0 if result["lost"] == 0 and result["checked"] and result["low_moved"] and result["within_bounds"] else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.latency", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--backlog", type=int, default=1_000_000, help="low notifications")
    parser.add_argument("--rate", type=float, default=20.0, help="critical notifications a second")
    parser.add_argument("--idle", type=float, default=20.0, help="seconds of criticals alone")
    parser.add_argument("--workers", type=int, default=2, help="worker processes for all lanes")
    parser.add_argument("--critical-worker", action="store_true", help="one more process for the critical lane alone")
    parser.add_argument("--at-once", action="store_true", help="the backlog is due as it is accepted")
    parser.add_argument("--recipients", type=int, default=20_000)
    parser.add_argument("--transport", choices=["rabbitmq", "database"], default="rabbitmq")
    return parser.parse_args()


def run(options: argparse.Namespace, journal: Path, file: Path) -> dict[str, Any]:
    from django.db import connection

    dataset.seed(options.recipients)
    running = [start("run_worker", "--channel", "email", "--processes", str(options.workers))]
    if options.transport == "rabbitmq":
        running.append(start("run_relay"))
    if options.critical_worker:
        running.append(start("run_worker", "--channel", "email", "--priority", "critical"))
    sender = None
    try:
        time.sleep(WARM_UP_SECONDS)  # let them import and connect
        sender = start_criticals(file, options)
        time.sleep(WARM_UP_SECONDS)
        phases = list(play(options))
        stop(sender)
        calls = criticals.read(file)
        finished = books.wait_until_finished(options.backlog + len(calls))
        figures = {phase.name: latency(calls, phase) for phase in phases}
        peak = round(processes.peak_rss_mb(processes.family(running[0].pid)))
    finally:
        codes = [stop(process) for process in (sender, *running) if process is not None and process.poll() is None]
        connection.close()
    return {
        "benchmark": "latency",
        "transport": options.transport,
        "backlog": options.backlog,
        "critical_per_s": options.rate,
        "workers": options.workers,
        "critical_worker": options.critical_worker,
        "phases": figures,
        "low_moved": phases[-1].low_sent > 0,
        "within_bounds": figures["idle"]["p99_ms"] <= IDLE_BOUND
        and all(figure["p99_ms"] <= LOADED_BOUND for figure in figures.values()),
        "worker_peak_rss_mb": peak,
        "exit_codes": codes,
        **account(options.backlog + len(calls), journal, finished),
    }


def account(expected: int, journal: Path, finished: bool) -> dict[str, Any]:
    found = books.account(expected, journal)
    return {**found, "checked": finished and found["checked"]}


def start_criticals(file: Path, options: argparse.Namespace) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "benchmarks.criticals", str(file)]
    command += ["--rate", str(options.rate), "--recipients", str(options.recipients)]
    return subprocess.Popen(command, env=os.environ.copy())


def play(options: argparse.Namespace) -> Sequence[Phase]:
    """The phases one after the other, each told as it ends."""
    phases = []

    def close(name: str, since: float, low_before: int) -> None:
        phases.append(Phase(name, since, time.time(), low_sent() - low_before))
        print(f"{name}: {phases[-1].until - since:.1f} s, {phases[-1].low_sent} low sent", file=sys.stderr)

    began = time.time()
    time.sleep(options.idle)
    close("idle", began, 0)
    began = time.time()
    accept(options)
    close("accepting", began, 0)
    began, before = time.time(), low_sent()
    if not options.at_once:
        bring_forward()
    while low_ended() < options.backlog:
        time.sleep(0.5)
    close("working_off", began, before)
    return phases


def accept(options: argparse.Namespace) -> None:
    """The backlog through NotificationService, one transaction a chunk, as a campaign's fan-out does it."""
    from notifications.services.notification import NotificationService

    service = NotificationService()
    later = None if options.at_once else datetime.now(UTC) + LATER
    for chunk in dataset.drafts(options.backlog, options.recipients, ("email",), CHUNK):
        service.send([replace(draft, priority="low", send_at=later) for draft in chunk], source="campaign:1")


def bring_forward() -> None:
    """The moment of the backlog has come: all at once, whatever the time."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("UPDATE notifications_outbox SET due_at = now() WHERE priority = 'low'")


def low_sent() -> int:
    return books.one("SELECT sum(count) FROM analytics_minutecount WHERE outcome = 'sent' AND source = 'campaign:1'")


def low_ended() -> int:
    return books.one(
        "SELECT sum(count) FROM analytics_minutecount WHERE outcome IN ('sent', 'skipped') AND source = 'campaign:1'"
    )


def latency(calls: Sequence[criticals.Call], phase: Phase) -> dict[str, Any]:
    """Of the criticals that were due in a phase: milliseconds until they stood on the record as sent."""
    sent = sent_times()
    took = sorted(
        sent[call.notification] - call.at
        for call in calls
        if phase.since <= call.at < phase.until and call.notification in sent
    )
    if not took:
        return {"criticals": 0, "p50_ms": -1, "p99_ms": sys.maxsize, "max_ms": -1}
    return {
        "seconds": round(phase.until - phase.since, 1),
        "low_sent": phase.low_sent,
        "criticals": len(took),
        "p50_ms": milliseconds(took[len(took) // 2]),
        "p99_ms": milliseconds(took[min(len(took) - 1, int(len(took) * 0.99))]),
        "max_ms": milliseconds(took[-1]),
    }


def sent_times() -> dict[Any, float]:
    """When each critical notification was sent, in Unix seconds. Those that were skipped are missing."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT notification_id, extract(epoch FROM sent_at)::float8 FROM notifications_delivery"
            " WHERE priority = 'critical' AND sent_at IS NOT NULL"
        )
        return dict(cursor.fetchall())


def milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


if __name__ == "__main__":
    sys.exit(main())
