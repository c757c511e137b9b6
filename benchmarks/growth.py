"""Does a record of 20,000,000 notifications slow anything down? The flow, the pages over it, and dropping a week.

    python -m benchmarks.growth [--stored 20000000] [--notifications 200000] [--samples 200]

On one set of processes: the flow over an empty record; then the record is filled (benchmarks/stored.py); then the same
flow again, whose rate must be at least 85% of the first. Then each page over the record as often as --samples says, of
which p99 must stay below 100 ms. Then a flow at a steady rate, beside which the oldest week is dropped as maintenance
does it: the longest gap between two sends is told, of the seconds before and of those during the drop.

The database is dropped at the end, also after Ctrl-C. At 20,000,000 it takes about 30 GB meanwhile. The last line is
one JSON object; the exit code is 1 when something is lost or a bound is broken.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks import books, dataset, pages, processes, stored
from benchmarks.environment import environment, instant, start, stop

#: The share of the empty record's rate that must be left, and milliseconds at p99 that a page may take.
RATE_BOUND, PAGE_BOUND = 0.85, 100.0
WARM_UP = 20_000
CHUNK = 500
#: Seconds of steady flow before the drop of a week, and after it.
BEFORE_DROP, AFTER_DROP = 10.0, 5.0


def main() -> int:
    options = arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does: the database goes
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "provider.journal"
        fixed = instant(journal)
        with environment(options.transport, **fixed):
            import django

            django.setup()
            result = Growth(options, journal).run()
    print(json.dumps(result))
    good = result["rate_kept"] >= RATE_BOUND and not result["slow_pages"] and result["drop"]["dropped"]
    return 0 if good and result["lost"] == 0 and result["checked"] else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.growth", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--stored", type=int, default=20_000_000, help="notifications on the record")
    parser.add_argument("--notifications", type=int, default=200_000, help="in each of the two measured flows")
    parser.add_argument("--samples", type=int, default=200, help="of each page")
    parser.add_argument("--rate", type=int, default=5_000, help="a second, while a week is dropped")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--recipients", type=int, default=200_000)
    parser.add_argument("--transport", choices=["rabbitmq", "database"], default="rabbitmq")
    return parser.parse_args()


class Growth:
    """One run. `given` counts the notifications handed to the pipeline so far."""

    def __init__(self, options: argparse.Namespace, journal: Path) -> None:
        from core.ids import floor

        self.options = options
        self.journal = journal
        self.given = 0
        # What the run itself sends is younger than what is stored.
        self.began = datetime.now(UTC) - timedelta(seconds=1)
        self.since = floor(self.began)

    def run(self) -> dict[str, Any]:
        from django.db import connection

        options = self.options
        dataset.seed(options.recipients)
        self.workers = start("run_worker", "--channel", "email", "--processes", str(options.workers))
        self.relay = start("run_relay") if options.transport == "rabbitmq" else None
        try:
            time.sleep(5.0)  # let them import and connect
            self.flow(WARM_UP)
            empty = self.flow(options.notifications)
            filled = self.fill()
            self.flow(WARM_UP)
            full = self.flow(options.notifications)
            viewed = self.view()
            drop = self.drop_a_week()
            size = books.one("SELECT pg_database_size(current_database()) / 1000000")
            account = books.account(self.given, self.journal, self.since)
        finally:
            codes = [stop(process) for process in (self.workers, self.relay) if process is not None]
            connection.close()
        return {
            "benchmark": "growth",
            "transport": options.transport,
            **filled,
            "database_mb": size,
            "empty": empty,
            "full": full,
            "rate_kept": round(full["per_s"] / empty["per_s"], 3),
            "cpu_grown": round(full["cpu_us_in_all"] / empty["cpu_us_in_all"], 3),
            "pages": viewed,
            "slow_pages": pages.slow(viewed, PAGE_BOUND),
            "drop": drop,
            "exit_codes": codes,
            **account,
        }

    def fill(self) -> dict[str, Any]:
        return stored.fill(self.options.stored, self.began)

    def view(self) -> dict[str, dict[str, float]]:
        oldest = self.began - timedelta(weeks=stored.WEEKS - 1)
        return pages.measure(pages.choose(self.options.samples, oldest, self.began))

    def flow(self, count: int) -> dict[str, Any]:
        """So many through the pipeline as fast as it goes: a rate from the first call to the last record, and
        microseconds of processor time per notification of each part that is ours alone."""
        before = self._cpu()
        began = time.monotonic()
        self.accept(count)
        if not books.wait_until_finished(self.given, self.since):
            raise RuntimeError("The flow stands still.")
        elapsed = time.monotonic() - began
        spent = {name: round((after - before[name]) / count * 1e6, 1) for name, after in self._cpu().items()}
        found = {"per_s": round(count / elapsed), "cpu_us": spent, "cpu_us_in_all": round(sum(spent.values()), 1)}
        print(f"flow of {count}: {found}", file=sys.stderr)
        return found

    def accept(self, count: int, per_second: float = 0.0) -> None:
        """So many through NotificationService, evenly at a rate or as fast as it goes."""
        from notifications.services.notification import NotificationService

        service = NotificationService()
        began = time.monotonic()
        size = min(CHUNK, max(1, int(per_second / 20))) if per_second else CHUNK
        for chunk in dataset.drafts(count, self.options.recipients, ("email",), size, offset=self.given):
            service.send(chunk, source="campaign:1")
            self.given += len(chunk)
            if per_second:
                began += len(chunk) / per_second
                time.sleep(max(0.0, began - time.monotonic()))

    def drop_a_week(self) -> dict[str, Any]:
        """The oldest week goes in the middle of a steady flow."""
        from notifications.partitions import ended_before

        seconds, rate = BEFORE_DROP + AFTER_DROP, self.options.rate
        keep = stored.WEEKS - 2
        (week,) = ended_before(self.began, keep)
        rows = books.one(f"SELECT reltuples FROM pg_class WHERE relname = 'notifications_delivery_{week.suffix}'")
        times: list[datetime] = []
        dropper = threading.Thread(target=_drop_later, args=(BEFORE_DROP, self.began, keep, times))
        began = datetime.now(UTC)
        dropper.start()
        self.accept(int(rate * seconds), per_second=rate)
        dropper.join()
        finished = books.wait_until_finished(self.given, self.since)
        dropped = not list(ended_before(self.began, keep)) and finished
        return {
            "dropped": dropped,
            "deliveries": rows,
            "took_ms": round((times[1] - times[0]).total_seconds() * 1000),
            "longest_gap_before_ms": longest_gap(began + timedelta(seconds=2), times[0]),
            "longest_gap_during_ms": longest_gap(times[0], times[1] + timedelta(seconds=2)),
        }

    def _cpu(self) -> dict[str, float]:
        relay = processes.family(self.relay.pid) if self.relay else []
        groups = {
            "accept": [os.getpid()], "relay": relay, "workers": processes.family(self.workers.pid),
            "postgres": backends(),
        }  # fmt: skip
        return {name: processes.cpu_seconds(pids) for name, pids in groups.items()}


def backends() -> list[int]:
    """PostgreSQL's processes for this database: the server may have others."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")
        return [pid for (pid,) in cursor.fetchall()]


def _drop_later(wait: float, now: datetime, keep_weeks: int, times: list[datetime]) -> None:
    """What maintenance does, a while from now; `times` gets its beginning and its end."""
    from django.db import connection

    from notifications.retention import Retention

    time.sleep(wait)
    times.append(datetime.now(UTC))
    try:
        for _ in Retention().sweep(now, keep_weeks):
            pass
    finally:
        times.append(datetime.now(UTC))
        connection.close()


def longest_gap(since: datetime, until: datetime) -> int:
    """Milliseconds between two sends on the record that follow each other, at most."""
    from core.ids import floor

    low = str(floor(since - timedelta(seconds=10)))
    return books.one(
        "SELECT extract(epoch FROM max(gap)) * 1000 FROM (SELECT sent_at - lag(sent_at) OVER (ORDER BY sent_at) AS gap"
        " FROM (SELECT DISTINCT sent_at FROM notifications_delivery"
        " WHERE id >= %s AND sent_at >= %s AND sent_at < %s) moments) gaps",
        low,
        since,
        until,
    )


if __name__ == "__main__":
    sys.exit(main())
