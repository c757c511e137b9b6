"""Receipts end to end: signed webhooks to one daphne process, applied by one run_events, every one accounted for.

    python -m benchmarks.receipts [--rate 5000] [--seconds 60] [--batch 100]

Messages that were sent are put on the record, and what a vendor tells of them is signed in batches, as vendors send
it. First at a steady rate, then as fast as it goes, then one receipt a webhook; meanwhile the age of the oldest event
on the lane is watched. When the lane is empty every receipt must be counted and every delivery be what it was told to
be. Last, every webhook of the steady part is sent twice more, in another order: no figure may change. The last line is
one JSON object; the exit code is 1 when one is lost or a figure changed.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import processes, receipts_record
from benchmarks.api import daphne
from benchmarks.environment import ROOT, environment
from benchmarks.receipts_record import Told

#: A vendor's batch in the part as fast as it goes.
FULL_BATCH = 500
#: Receipts prepared for a part as fast as it goes, and for one of single receipts.
FLAT_OUT, SINGLES = 150_000, 15_000
#: Without an event applied for this long, the run has failed.
STALL_SECONDS = 60.0


def main() -> int:
    options = arguments()
    with environment("database"):
        import django

        django.setup()
        result = run(options)
    print(json.dumps(result))
    sound = result["lost"] == 0 and result["wrong_deliveries"] == 0 and result["replay"]["changed"] == 0
    return 0 if sound else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.receipts", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rate", type=int, default=5_000, help="receipts a second in the steady part")
    parser.add_argument("--seconds", type=float, default=60.0, help="of the steady part")
    parser.add_argument("--batch", type=int, default=100, help="receipts a webhook in the steady part")
    parser.add_argument("--connections", type=int, default=4, help="of the vendor")
    parser.add_argument("--clients", type=int, default=32, help="that send single receipts at the same time")
    parser.add_argument("--share", type=float, default=1.0, help="of the other parts' sizes, for a quick look")
    return parser.parse_args()


def run(options: argparse.Namespace) -> dict[str, Any]:
    steady = int(options.rate * options.seconds)
    sizes = {"steady": steady, "flat_out": int(FLAT_OUT * options.share), "single": int(SINGLES * options.share)}
    told = {name: receipts_record.sent(size, seed=n) for n, (name, size) in enumerate(sizes.items())}
    with daphne() as (web, port), run_events() as events, tempfile.TemporaryDirectory() as folder:
        bench = Bench({"web": web.pid, "run_events": events.pid}, port, Path(folder), options)
        bench.post(receipts_record.sent(2_000, seed=9), batch=50)  # connections, plans: not what this measures
        parts = {
            "steady": bench.part(told["steady"], batch=options.batch, rate=options.rate),
            "flat_out": bench.part(told["flat_out"], batch=FULL_BATCH),
            "single": bench.part(told["single"], batch=1, connections=options.clients),
        }
        counted = receipts_record.receipts()
        wrong = sum(receipts_record.wrong(one) for one in told.values())
        replay = bench.replay(told["steady"], options.batch)
    expected = bench.posted - bench.replayed
    return {
        "benchmark": "receipts",
        "cores": os.cpu_count(),
        **parts,
        "receipts": expected,
        "lost": expected - sum(counted.values()),
        "became": counted,
        "wrong_deliveries": wrong,
        "replay": replay,
        "refused": bench.refused,
    }


@contextmanager
def run_events() -> Iterator[subprocess.Popen[bytes]]:
    """One process, as the operations page starts it."""
    process = subprocess.Popen([sys.executable, "manage.py", "run_events"], cwd=ROOT)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=60)


class Bench:
    """The parts of a run against one web process and one run_events."""

    def __init__(self, pids: dict[str, int], port: int, folder: Path, options: argparse.Namespace) -> None:
        self.pids = pids
        self.port = port
        self.folder = folder
        self.options = options
        self.posted = self.replayed = self.refused = 0

    def part(self, told: Sequence[Told], *, batch: int, rate: int = 0, connections: int = 0) -> dict[str, Any]:
        """Post everything, and wait until it is applied."""
        servers = {name: [pid] for name, pid in self.pids.items()}
        before = {name: processes.cpu_seconds(pids) for name, pids in servers.items()}
        database = processes.cpu_seconds(processes.postgres(_database()))
        began = time.monotonic()
        with Watch() as watch:
            figures = self.post(told, batch=batch, rate=rate, connections=connections)
        took = time.monotonic() - began
        used = {name: processes.cpu_seconds(pids) - before[name] for name, pids in servers.items()}
        used["postgres"] = processes.cpu_seconds(processes.postgres(_database())) - database
        return {
            "receipts": len(told),
            "per_webhook": batch,
            "taken_per_s": round(len(told) / figures["seconds"]),
            "applied_per_s": round(len(told) / took),
            **_percentiles(figures["milliseconds"]),
            "oldest_on_lane_s": round(watch.oldest, 2),
            "most_on_lane": watch.most,
            "cpu_us_per_receipt": {name: round(1e6 * seconds / len(told), 1) for name, seconds in used.items()},
        }

    def replay(self, told: Sequence[Told], batch: int) -> dict[str, Any]:
        """Every webhook twice more, shuffled. `changed`: figures that are not what they were."""
        before = receipts_record.figures()
        again = [told[start : start + batch] for start in range(0, len(told), batch)] * 2
        random.Random(5).shuffle(again)
        receipts = [one for part in again for one in part]
        self.replayed = len(receipts)
        self.post(receipts, batch=batch)
        after = receipts_record.figures()
        changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
        return {"receipts": len(receipts), "figures": len(before), "changed": len(changed)}

    def post(self, told: Sequence[Told], *, batch: int, rate: int = 0, connections: int = 0) -> dict[str, Any]:
        """From a process of its own; returns its figures once the lane is empty."""
        lines = receipts_record.webhooks(told, batch)
        (self.folder / "bodies").write_bytes(b"\n".join(lines))
        connections = connections or self.options.connections
        target = {"port": self.port, "connections": connections, "per_second": rate / batch}
        command = [sys.executable, "-m", "benchmarks.receipts_client", str(self.folder), json.dumps(target)]
        subprocess.run(command, cwd=ROOT, check=True)
        figures: dict[str, Any] = json.loads((self.folder / "figures").read_text())
        self.posted += len(told)
        self.refused += sum(times for status, times in figures["statuses"].items() if status != "200")
        _wait_for_empty_lane()
        return figures


class Watch:
    """Looks at the lane four times a second."""

    def __init__(self) -> None:
        self.oldest, self.most = 0.0, 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        from django.db import connection

        from notifications.services import events_lane

        try:
            while not self._stop.wait(0.25):
                depth = events_lane.depth()
                self.oldest, self.most = max(self.oldest, depth.oldest_seconds), max(self.most, depth.due)
        finally:
            connection.close()


def _wait_for_empty_lane() -> None:
    from notifications.services import events_lane

    last, moved = -1, time.monotonic()
    while (due := events_lane.depth().due) > 0:
        if due != last:
            last, moved = due, time.monotonic()
        if time.monotonic() - moved > STALL_SECONDS:
            raise RuntimeError(f"Nothing was applied for {STALL_SECONDS:g} s; {due} events wait.")
        time.sleep(0.05)


def _database() -> str:
    from django.conf import settings

    return str(settings.DATABASES["default"]["NAME"])


def _percentiles(milliseconds: list[float]) -> dict[str, float]:
    ordered = sorted(milliseconds)
    return {
        f"p{share}_ms": round(ordered[min(len(ordered) - 1, len(ordered) * share // 100)], 1) for share in (50, 95, 99)
    }


if __name__ == "__main__":
    sys.exit(main())
