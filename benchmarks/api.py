"""The API end to end: one daphne process as it is deployed, driven over keep-alive connections by another process.

    python -m benchmarks.api [--notifications 40000] [--seconds 10] [--clients 50]

First bulk calls of 500 and of 1,000, several at once; then single calls by `--clients` clients at once; both also with
an `Idempotency-Key` each. Everything a production call does is on: the key is looked up, limits are asked, preferences
route, every 202 is a durable commit. Then every answer is held against the record: each id that was answered must have
its row with the same recipient and data, and each delivery that was said to be queued must stand in the outbox. The
last line is one JSON object; the exit code is 1 when one is lost.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import orjson

from benchmarks import dataset, processes
from benchmarks.api_check import Check
from benchmarks.environment import ROOT, environment

BULK, SINGLE = "/api/v1/notifications/bulk/", "/api/v1/notifications/"
#: Single calls prepared for each second: more than any server of today answers.
READY_PER_SECOND = 4_000
_offset = count(0, 10_000_000)


def main() -> int:
    options = arguments()
    with environment("database"):  # the API speaks to neither a broker nor a worker
        import django

        django.setup()
        result = run(options)
    print(json.dumps(result))
    return 0 if result["lost"] == 0 and result["checked"] else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.api", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--notifications", type=int, default=40_000, help="in each bulk part")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each part of single calls")
    parser.add_argument("--clients", type=int, default=50, help="that post single notifications at the same time")
    parser.add_argument("--parallel", type=int, default=4, help="bulk calls at the same time")
    parser.add_argument("--recipients", type=int, default=20_000)
    parser.add_argument("--channel", default="email", choices=["email", "sms", "push", "in_app"])
    parser.add_argument("--only", choices=["bulk", "single"], help="one of the two parts")
    return parser.parse_args()


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Seed, start daphne, drive it part by part, check every answer."""
    from django.db import connection

    from notifications.services import api_keys

    dataset.seed(options.recipients)
    _, token = api_keys.issue("benchmark")
    check = Check()
    parts: dict[str, Any] = {}
    with daphne() as (process, port), tempfile.TemporaryDirectory() as folder:
        bench = Bench(options, process.pid, {"port": port, "token": token}, Path(folder), check)
        bench.bulk(500, notifications=4_000)  # connections, caches, compiled templates: a server that has just started
        bench.singles(seconds=2.0)  # is not what this measures
        if options.only != "single":
            parts["bulk_500"] = bench.bulk(500)
            parts["bulk_1000"] = bench.bulk(1000)
            parts["bulk_1000_with_key"] = bench.bulk(1000, key="bulk")
        if options.only != "bulk":
            parts["single"] = bench.singles()
            parts["single_with_key"] = bench.singles(key="single")
        memory = round(processes.peak_rss_mb([process.pid]))
    verdict = check.verdict()
    connection.close()
    return {"benchmark": "api", "cores": os.cpu_count(), **parts, "daphne_peak_rss_mb": memory, **verdict}


@contextmanager
def daphne() -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """One process on a free port, started as the README says; its access log goes nowhere."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(port), "config.asgi:application"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        _wait_for(port)
        yield process, port
    finally:
        process.terminate()
        process.wait(timeout=60)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.1)
        else:
            return


class Bench:
    """The parts of a run against one daphne process."""

    def __init__(
        self, options: argparse.Namespace, daphne: int, target: dict[str, Any], folder: Path, check: Check
    ) -> None:
        self.options = options
        self.daphne = daphne
        self.target = target
        self.folder = folder
        self.check = check

    def bulk(self, items: int, *, notifications: int = 0, key: str = "") -> dict[str, Any]:
        total = notifications or self.options.notifications
        documents = [{"notifications": chunk} for chunk in self._items(total, items)]
        return self._part(BULK, documents, items, connections=self.options.parallel, key=key)

    def singles(self, *, seconds: float = 0.0, key: str = "") -> dict[str, Any]:
        seconds = seconds or self.options.seconds
        documents = [item for [item] in self._items(int(seconds * READY_PER_SECOND), 1)]
        return self._part(SINGLE, documents, 1, connections=self.options.clients, key=key, seconds=seconds)

    def _items(self, total: int, chunk: int) -> Iterator[list[dict[str, Any]]]:
        """Bodies of `notifications/`, by chunks; no two of a run have the same data."""
        names = ("recipient", "category", "template", "channels", "data", "priority")
        made = dataset.drafts(total, self.options.recipients, (self.options.channel,), chunk, offset=next(_offset))
        for drafts in made:
            yield [{name: getattr(draft, name) for name in names} for draft in drafts]

    def _part(self, path: str, documents: list[dict[str, Any]], items: int, **how: Any) -> dict[str, Any]:
        (self.folder / "bodies").write_bytes(b"\n".join(map(orjson.dumps, documents)))
        servers = {
            "daphne": [self.daphne],
            "postgres": processes.named("postgres"),
            "redis": processes.named("redis-server"),
        }
        before = {server: processes.cpu_seconds(pids) for server, pids in servers.items()}
        arguments = json.dumps({**self.target, "path": path, **how})
        command = [sys.executable, "-m", "benchmarks.api_client", str(self.folder), arguments]
        subprocess.run(command, cwd=ROOT, check=True)
        servers["postgres"] = processes.named("postgres")
        after = {server: processes.cpu_seconds(pids) for server, pids in servers.items()}
        figures = json.loads((self.folder / "figures").read_text())
        self.check.add(documents, (self.folder / "answers").read_bytes())
        calls = len(figures["milliseconds"])
        per = 1e6 / (calls * items)
        return {
            "notifications_per_s": round(calls * items / figures["seconds"]),
            "requests_per_s": round(calls / figures["seconds"], 1),
            "calls": calls,
            "connections": how["connections"],
            **_percentiles(figures["milliseconds"]),
            "cpu_us_per_notification": {
                **{server: round((after[server] - before[server]) * per, 1) for server in servers},
                "client": round(figures["cpu_seconds"] * per, 1),
            },
            "daphne_core": round((after["daphne"] - before["daphne"]) / figures["seconds"], 2),
            "client_core": round(figures["cpu_seconds"] / figures["seconds"], 2),
        }


def _percentiles(milliseconds: list[float]) -> dict[str, float]:
    ordered = sorted(milliseconds)
    return {
        f"p{share}_ms": round(ordered[min(len(ordered) - 1, len(ordered) * share // 100)], 1) for share in (50, 95, 99)
    }


if __name__ == "__main__":
    sys.exit(main())
