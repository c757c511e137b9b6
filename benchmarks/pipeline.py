"""The pipeline end to end on the real servers: accept -> queue -> claim -> render -> send -> record.

    python -m benchmarks.pipeline                                      # at full speed, 60 seconds of steady state
    python -m benchmarks.pipeline --notifications 100000 [--kill]      # so many, from the first to the last
    python -m benchmarks.pipeline --notifications 1000 --rate 50       # latency when there is little to do

Everything a production send does is on: routing by real preferences, duplicates, limits, circuits, durable commits,
publisher confirms, quorum queues, rendering, events and counts by minute. The provider is simulated and instant, and
journals every call. Two processes accept in batches, as two fan-outs of campaigns do, and hold back while IN_FLIGHT are
under way. At the end every row is held against every other and against the provider's journal. The last line is one
JSON object; the exit code is 1 when a single notification is not accounted for.

CPU is that of each stage's processes, user and system, servers included, in microseconds per notification; "load" is
the benchmark's own making of drafts, which happens in the processes that accept.
"""

import argparse
import json
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import books, dataset, processes
from benchmarks.environment import environment, instant, start, stop

#: Accepted and not ended: beyond it the load waits, so that what is measured is a steady state and no growing backlog.
IN_FLIGHT = 30_000
#: Seconds between two looks at the counters.
LOOK = 0.2
#: Bytes of write-ahead log that the server has written so far.
_WAL = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')"


def main() -> int:
    options = arguments()
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "provider.journal"
        fixed = {
            **instant(journal),
            "PROVIDER_TIMEOUT_SECONDS": 5,
            "LEASE_SECONDS": options.lease,
            "VISIBILITY_SECONDS": options.lease + 5,
        }
        with environment(options.transport, **fixed):
            import django

            from core import collector
            from core.postgresql.direct import look_up_by_key

            django.setup()
            look_up_by_key()
            collector.relax()  # both as the fan-out of campaigns does
            result = run(options, journal)
    print(json.dumps(result))
    return 0 if result["lost"] == 0 and result["checked"] else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.pipeline", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the measured steady state")
    parser.add_argument("--warm-up", type=float, default=8.0, help="seconds under load before it begins")
    parser.add_argument("--notifications", type=int, default=0, help="so many instead, measured from first to last")
    parser.add_argument("--workers", type=int, default=2, help="worker processes")
    parser.add_argument("--feeders", type=int, default=2, help="processes that accept, in the steady state")
    parser.add_argument("--transport", choices=["rabbitmq", "database"], default="rabbitmq")
    parser.add_argument("--recipients", type=int, default=100_000)
    parser.add_argument("--channel", default="email", choices=["email", "sms", "push", "in_app"])
    parser.add_argument("--chunk", type=int, default=500, help="drafts a transaction")
    parser.add_argument("--lease", type=int, default=90, help="LEASE_SECONDS; shorten it with --kill to wait less")
    parser.add_argument("--kill", action="store_true", help="kill -9 a worker in the middle of --notifications")
    parser.add_argument("--rate", type=float, default=0.0, help="notifications a second, one by one: latency when idle")
    options = parser.parse_args()
    if options.kill and options.workers < 2:
        parser.error("--kill needs --workers 2 at least: one that is alone has nobody to start it again")
    return options


@dataclass(slots=True)
class Window:
    """What is measured: from `open` to `close`, each with the count of notifications that had ended by then."""

    groups: Any
    ended: int = 0
    seconds: float = 0.0
    cpu: dict[str, float] = field(default_factory=dict)
    busy: float = 0.0
    load: float = 0.0
    wal: int = 0

    def open(self, ended: int) -> None:
        self.ended, self.seconds, self.cpu, self.busy = ended, time.monotonic(), self._cpu(), processes.busy_seconds()
        self.wal = books.one(_WAL)

    def close(self, ended: int) -> None:
        now, cpu = time.monotonic(), self._cpu()
        self.ended, self.seconds = ended - self.ended, now - self.seconds
        self.cpu = {name: cpu[name] - self.cpu.get(name, 0.0) for name in cpu}
        self.busy = processes.busy_seconds() - self.busy
        self.wal = books.one(_WAL) - self.wal

    def _cpu(self) -> dict[str, float]:
        return {name: processes.cpu_seconds(pids) for name, pids in self.groups().items()}


class Load:
    """The drafts, and how long it took to make them (CPU seconds of the thread). Those of different feeders differ."""

    def __init__(self, options: argparse.Namespace, feeder: int = 0) -> None:
        total = options.notifications or 1 << 40
        size = 1 if options.rate else options.chunk
        self._chunks = dataset.drafts(total, options.recipients, (options.channel,), size, offset=feeder << 40)
        self.seconds = 0.0

    def __iter__(self) -> Iterator[list[Any]]:
        while True:
            began = time.thread_time()
            chunk = next(self._chunks, None)
            self.seconds += time.thread_time() - began
            if chunk is None:
                return
            yield chunk


def run(options: argparse.Namespace, journal: Path) -> dict[str, Any]:
    """Seed, start the processes, accept, wait for the end, check every row."""
    from django.db import connection

    dataset.seed(options.recipients)
    workers = start("run_worker", "--channel", options.channel, "--processes", str(options.workers))
    relay = start("run_relay") if options.transport == "rabbitmq" else None

    def groups() -> dict[str, list[int]]:
        return {
            "accept": [os.getpid(), *(process.pid for process in feeders.processes if process.pid)],
            "relay": processes.family(relay.pid) if relay else [],
            "workers": processes.family(workers.pid),
            "postgres": processes.postgres(connection.settings_dict["NAME"]),
            "redis": processes.named("redis-server"),
            "rabbitmq": processes.named("beam.smp"),
        }

    feeders, window = Feeders(options), Window(groups)
    try:
        books.wait_until_up(options.workers + (relay is not None))  # this measures the flow, not Python's start
        if options.notifications:
            accepted = accept_all(
                options, Load(options), window, lambda: kill_one(workers.pid) if options.kill else None
            )
        else:
            accepted = accept_steadily(options, feeders, window)
        finished = books.wait_until_finished(accepted)
        if options.notifications:
            window.close(accepted)
        memory = {name: round(processes.peak_rss_mb(pids)) for name, pids in groups().items() if pids}
    finally:
        feeders.stopping.set()
        codes = [stop(process) for process in (workers, relay) if process is not None]
        connection.close()
    account = books.account(accepted, journal)
    return {
        "benchmark": "pipeline",
        "transport": options.transport,
        "notifications": accepted,
        "workers": options.workers,
        **({"rate_per_s": options.rate} if options.rate else {}),
        **figures(window),
        **latencies(),
        "peak_rss_mb": memory,
        "killed": bool(options.kill),
        "exit_codes": codes,
        **stored(accepted),
        **account,
        "checked": finished and account["checked"],
    }


def figures(window: Window) -> dict[str, Any]:
    """Rates and costs inside the window."""
    cpu = {"load": window.load, **window.cpu, "accept": window.cpu["accept"] - window.load}
    micros = {name: round(seconds / window.ended * 1e6, 1) for name, seconds in cpu.items()}
    return {
        "measured_s": round(window.seconds, 1),
        "end_to_end_per_s": round(window.ended / window.seconds),
        "per_minute": round(window.ended / window.seconds * 60),
        "cpu_us_per_notification": {**micros, "all": round(sum(micros.values()), 1)},
        "wal_bytes_per_notification": round(window.wal / window.ended),
        "cores_busy": round(window.busy / window.seconds, 2),
        "cores": os.cpu_count(),
    }


def accept_all(options: argparse.Namespace, load: Load, window: Window, halfway: Any) -> int:
    """All of --notifications through NotificationService, one transaction a chunk; how many."""
    from notifications.services.notification import NotificationService

    service = NotificationService()
    window.open(0)
    began, done, fired = time.monotonic(), 0, False
    for chunk in load:
        if options.rate:
            time.sleep(max(0.0, began + done / options.rate - time.monotonic()))
        service.send(chunk, source="campaign:1")
        done += len(chunk)
        if not fired and done * 2 >= options.notifications:
            fired = True
            halfway()
    window.load = load.seconds
    return done


class Feeders:
    """Processes that accept at full speed, with IN_FLIGHT at most under way, until they are told to stop."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.ended = multiprocessing.Value("q", 0)
        self.stopping = multiprocessing.Event()
        self.accepted = [multiprocessing.Value("q", 0) for _ in range(options.feeders)]
        self.load = [multiprocessing.Value("d", 0.0) for _ in range(options.feeders)]
        self.processes = [
            multiprocessing.Process(target=self._feed, args=(options, n), daemon=True) for n in range(options.feeders)
        ]

    def start(self) -> None:
        from django.db import connection

        connection.close()
        connection.close_pool()  # type: ignore[attr-defined]  # of PostgreSQL's backend; a fork must not share it
        for process in self.processes:
            process.start()

    def stop(self) -> None:
        self.stopping.set()
        for process in self.processes:
            process.join()

    def total(self) -> int:
        return int(sum(count.value for count in self.accepted))

    def load_seconds(self) -> float:
        return float(sum(seconds.value for seconds in self.load))

    def _feed(self, options: argparse.Namespace, number: int) -> None:
        from notifications.services.notification import NotificationService

        service, load = NotificationService(), Load(options, number)
        for chunk in load:
            while self.total() - self.ended.value >= IN_FLIGHT and not self.stopping.is_set():
                time.sleep(0.005)
            if self.stopping.is_set():
                return
            service.send(chunk, source="campaign:1")
            self.accepted[number].value += len(chunk)
            self.load[number].value = load.seconds


def accept_steadily(options: argparse.Namespace, feeders: Feeders, window: Window) -> int:
    """Feed until the window has been open for --seconds; how many were accepted. `window.load` is what making the
    drafts took inside it."""
    feeders.start()
    opens = time.monotonic() + options.warm_up
    closes = 0.0
    while True:
        time.sleep(LOOK)
        feeders.ended.value = over = books.finished()
        now = time.monotonic()
        if not closes and now >= opens:
            window.open(over)
            window.load, closes = feeders.load_seconds(), now + options.seconds
        elif closes and now >= closes:
            window.close(over)
            window.load = feeders.load_seconds() - window.load
            feeders.stop()
            return feeders.total()


def kill_one(parent: int) -> None:
    """kill -9 one of several worker processes; its supervisor starts another."""
    victim = processes.children(parent)[0]
    os.kill(victim, signal.SIGKILL)
    print(f"killed worker {victim}", file=sys.stderr)


def latencies() -> dict[str, float]:
    """Milliseconds from acceptance to sent, from the record; nothing where nothing was sent."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY extract(epoch FROM sent_at - created_at))"
            " FROM notifications_delivery WHERE sent_at IS NOT NULL"
        )
        found = cursor.fetchone()[0]
    if found is None:
        return {}
    p50, p99 = found
    return {"accept_to_sent_p50_ms": round(p50 * 1000), "accept_to_sent_p99_ms": round(p99 * 1000)}


def stored(accepted: int) -> dict[str, float]:
    """Bytes of the record's tables and indexes per notification, and the share of updates that touched no index."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relkind = 'r'"
            " AND relname ~ '^notifications_(notification|delivery|deliveryevent)_'"
        )
        size = int(cursor.fetchone()[0])
        cursor.execute(
            "SELECT sum(n_tup_hot_upd)::float8 / greatest(sum(n_tup_upd), 1) FROM pg_stat_user_tables"
            " WHERE relname ~ '^notifications_delivery_'"
        )
        hot = cursor.fetchone()[0]
    return {"disk_bytes_per_notification": round(size / accepted), "hot_updates": round(hot or 0.0, 2)}


if __name__ == "__main__":
    sys.exit(main())
