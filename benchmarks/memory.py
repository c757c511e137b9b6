"""Does a process grow with what it has handled? Resident memory of relay and workers over 2,000,000 notifications.

    python -m benchmarks.memory [--notifications 2000000] [--workers 2] [--bound 5]

The flow of benchmarks.pipeline, as fast as it goes; every second each process' memory is read beside the number of
deliveries that have ended. After the first fifth, in which caches and pools fill, a line is laid through each process'
figures: its slope in MB per million notifications must stay below the bound. The last line is one JSON object; the exit
code is 1 when something is lost or a process grows.
"""

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import books, dataset, processes
from benchmarks.environment import environment, instant, start, stop

#: The share of a run that only warms up.
WARM_UP = 0.2
CHUNK = 500
#: How many accepted notifications may wait: more would make this a benchmark of the queue.
AHEAD = 100_000
_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1_000_000


@dataclass(slots=True)
class Growth:
    """Memory of one process in MB, beside millions of notifications ended by then."""

    name: str
    pid: int
    millions: list[float] = field(default_factory=list)
    mb: list[float] = field(default_factory=list)

    def figures(self) -> dict[str, Any]:
        return {
            "process": self.name,
            "first_mb": round(self.mb[0]),
            "last_mb": round(self.mb[-1]),
            "peak_mb": round(max(self.mb)),
            "mb_per_million": round(slope(self.millions, self.mb), 2),
            "samples": len(self.mb),
        }


def main() -> int:
    options = arguments()
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "provider.journal"
        fixed = instant(journal)
        with environment(options.transport, **fixed):
            import django

            django.setup()
            result = run(options, journal)
    print(json.dumps(result))
    return 0 if result["lost"] == 0 and result["checked"] and result["flat"] else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.memory", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--notifications", type=int, default=2_000_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--bound", type=float, default=5.0, help="MB per million notifications")
    parser.add_argument("--recipients", type=int, default=20_000)
    parser.add_argument("--transport", choices=["rabbitmq", "database"], default="rabbitmq")
    return parser.parse_args()


def run(options: argparse.Namespace, journal: Path) -> dict[str, Any]:
    from django.db import connection

    dataset.seed(options.recipients)
    workers = start("run_worker", "--channel", "email", "--processes", str(options.workers))
    relay = start("run_relay") if options.transport == "rabbitmq" else None
    stopping = threading.Event()
    try:
        time.sleep(5.0)
        watched = [Growth(f"worker {n}", pid) for n, pid in enumerate(processes.children(workers.pid), 1)]
        watched = watched or [Growth("worker", workers.pid)]
        watched += [Growth("relay", relay.pid)] if relay else []
        watcher = threading.Thread(target=watch, args=(watched, options.notifications * WARM_UP, stopping))
        watcher.start()
        began = time.monotonic()
        accept(options)
        finished = books.wait_until_finished(options.notifications)
        elapsed = time.monotonic() - began
        stopping.set()
        watcher.join()
    finally:
        stopping.set()
        codes = [stop(process) for process in (workers, relay) if process is not None]
    figures = [one.figures() for one in watched if one.mb]
    account = books.account(options.notifications, journal)
    connection.close()
    return {
        "benchmark": "memory",
        "transport": options.transport,
        "notifications": options.notifications,
        "per_s": round(options.notifications / elapsed),
        "processes": figures,
        "flat": len(figures) == len(watched) and all(one["mb_per_million"] < options.bound for one in figures),
        "exit_codes": codes,
        **account,
        "checked": finished and account["checked"],
    }


def accept(options: argparse.Namespace) -> None:
    """Everything through NotificationService, never far ahead of the workers."""
    from notifications.services.notification import NotificationService

    service = NotificationService()
    given = 0
    for chunk in dataset.drafts(options.notifications, options.recipients, ("email",), CHUNK):
        service.send(chunk, source="campaign:1")
        given += len(chunk)
        if given % (AHEAD // 2) == 0:
            while given - books.finished() > AHEAD:
                time.sleep(0.05)


def watch(watched: Sequence[Growth], warm_up: float, stopping: threading.Event) -> None:
    """Every second until told to stop, from `warm_up` deliveries on."""
    from django.db import connection

    while not stopping.wait(1.0):
        ended = books.finished()
        if ended < warm_up:
            continue
        for one in watched:
            one.millions.append(ended / 1e6)
            one.mb.append(resident_mb(one.pid))
    connection.close()


def resident_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_MB


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """Of the line through the points by least squares; 0 when they say nothing."""
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    spread = sum((one - mean_x) ** 2 for one in x)
    if not spread:
        return 0.0
    return sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / spread


if __name__ == "__main__":
    sys.exit(main())
