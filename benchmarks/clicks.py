"""Links followed and pixels fetched: one daphne process as it is deployed, asked by another process.

    python -m benchmarks.clicks [--rate 200] [--seconds 30]

Half of the hits are links, to a thousand addresses, half are pixels; each is of another message. First at a steady
rate, at random moments; then as fast as they are answered; last at the steady rate while the table of the events lane
is locked, so that no hit can be kept: readers must be sent on all the same, and the hits must be there when the lock is
gone. Every hit is counted at the end. The last line is one JSON object; the exit code is 1 when one is lost or a reader
was not sent on.
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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from benchmarks import processes
from benchmarks.api import daphne
from benchmarks.environment import ROOT, environment

LINKS = 1_000
#: Of readers, as a proxy in front of the process holds them open.
CONNECTIONS = 32


def main() -> int:
    options = arguments()
    with environment("database"):  # neither a broker nor a worker nor run_events: the hits stay on the lane
        import django

        django.setup()
        result = run(options)
    print(json.dumps(result))
    return 0 if result["lost"] == 0 and result["not_sent_on"] == 0 else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.clicks", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rate", type=float, default=200.0, help="hits a second in the steady part")
    parser.add_argument("--seconds", type=float, default=30.0, help="of the steady part")
    parser.add_argument("--flat-out", type=int, default=10_000, help="hits as fast as they are answered")
    parser.add_argument("--locked", type=float, default=5.0, help="seconds for which nothing can be kept")
    return parser.parse_args()


def run(options: argparse.Namespace) -> dict[str, Any]:
    from django.db import connection

    from analytics.engagement.links import LinkBook

    urls = [f"https://shop.example/offers/{n}?utm_source=news" for n in range(LINKS)]
    links = [ref[0] for ref in LinkBook().refs([(url, bytes(16)) for url in urls], short=True).values()]
    with daphne() as (web, port), tempfile.TemporaryDirectory() as folder:
        bench = Bench(web.pid, port, Path(folder), links)
        bench.part(4 * LINKS)  # every link once or more: connections, caches
        steady = bench.part(int(options.rate * options.seconds), rate=options.rate)
        flat_out = bench.part(options.flat_out)
        with locked(options.locked):
            away = bench.part(int(options.rate * options.locked), rate=options.rate)
        kept = wait_for(bench.hits)
    connection.close()
    return {
        "benchmark": "clicks",
        "cores": os.cpu_count(),
        "steady": steady,
        "flat_out": flat_out,
        "lane_locked": away,
        "hits": bench.hits,
        "lost": bench.hits - kept,
        "not_sent_on": bench.hits - bench.sent_on,
    }


class Bench:
    """The parts of a run against one web process."""

    def __init__(self, pid: int, port: int, folder: Path, links: list[bytes]) -> None:
        self.pid, self.port, self.folder, self.links = pid, port, folder, links
        self.hits = self.sent_on = 0

    def part(self, hits: int, *, rate: float = 0.0) -> dict[str, Any]:
        """So many hits, and how long their readers waited."""
        (self.folder / "paths").write_text("\n".join(self._paths(hits)))
        target = {"port": self.port, "connections": CONNECTIONS, "per_second": rate}
        command = [sys.executable, "-m", "benchmarks.clicks_client", str(self.folder), json.dumps(target)]
        before = processes.cpu_seconds([self.pid])
        subprocess.run(command, cwd=ROOT, check=True)
        used = processes.cpu_seconds([self.pid]) - before
        figures = json.loads((self.folder / "figures").read_text())
        self.hits += hits
        self.sent_on += figures["statuses"].get("302", 0) + figures["statuses"].get("200", 0)
        return {
            "hits": hits,
            "per_s": round(hits / figures["seconds"]),
            **_percentiles(figures["milliseconds"]),
            "web_cpu_us_per_hit": round(1e6 * used / hits),
        }

    def _paths(self, hits: int) -> Iterator[str]:
        from analytics.engagement.tokens import PIXEL, tokens
        from core import ids

        make, rng = tokens().make, random.Random(hits)
        for start in range(0, hits, 10_000):
            for n, delivery in enumerate(ids.keys(min(10_000, hits - start))):
                link = self.links[n // 2 % LINKS] if start + n < 2 * LINKS else rng.choice(self.links)
                yield f"/t/o/{make(delivery, PIXEL)}" if n % 2 else f"/t/c/{make(delivery, link)}"


@contextmanager
def locked(seconds: float) -> Iterator[None]:
    """Nobody can write to the lane, from now on for so long."""
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
            connection.execute("LOCK TABLE notifications_receivedevent IN ACCESS EXCLUSIVE MODE")
            held.set()
            done.wait(seconds)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    try:
        yield
    finally:
        done.set()
        thread.join()


def wait_for(hits: int) -> int:
    """How many are on the lane: all, or those that are there after half a minute."""
    from notifications.models import ReceivedEvent

    deadline = time.monotonic() + 30
    while (kept := ReceivedEvent.objects.count()) < hits and time.monotonic() < deadline:
        time.sleep(0.1)
    return kept


def _percentiles(milliseconds: list[float]) -> dict[str, float]:
    ordered = sorted(milliseconds)
    shares = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99, "max_ms": 1.0}
    return {name: round(ordered[min(len(ordered) - 1, int(len(ordered) * at))], 1) for name, at in shares.items()}


if __name__ == "__main__":
    sys.exit(main())
