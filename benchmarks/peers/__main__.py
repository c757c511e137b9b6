"""One run of one peer: accept, publish, work, check every row. `benchmarks.compare` calls it; alone it is for tuning.

    python -m benchmarks.peers celery --notifications 5000 --processes 4 --prefetch 16 --queue-type quorum

The last line is one JSON object with the keys of `benchmarks.pipeline`; the exit code is 1 when something is lost.
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pika

from benchmarks import dataset, processes
from benchmarks.books import STALL
from benchmarks.environment import ROOT, environment, stop
from benchmarks.peers import TUNED, Tuning, missing
from benchmarks.pipeline import Load

#: Seconds from the start of the workers until they must listen.
STARTED_WITHIN = 120.0


def main() -> int:
    options = arguments()
    if sentence := missing(options.peer):
        print(sentence, file=sys.stderr)
        return 2
    tuning = Tuning(**{name: getattr(options, name) for name in Tuning._fields})
    broker = os.environ.get("BROKER_URL") or "amqp://guest:guest@127.0.0.1:5672/%2F"
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "provider.journal"
        journal.touch()
        with environment("database"):  # Carillon's queues are not needed
            queue = f"{os.environ['BROKER_PREFIX']}.peer"
            os.environ.update(tuning.environment(), PEER_JOURNAL=str(journal), PEER_BROKER_URL=broker, PEER_QUEUE=queue)
            os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.peers.settings"
            import django

            django.setup()
            try:
                result = run(options.peer, tuning, options, journal)
            finally:
                delete_queues(broker, queue)
    print(json.dumps(result))
    return 0 if result["lost"] == 0 and result["checked"] else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.peers", description=__doc__.split("\n", 1)[0])
    parser.add_argument("peer", choices=sorted(TUNED))
    parser.add_argument("--notifications", type=int, default=5_000)
    parser.add_argument("--recipients", type=int, default=20_000)
    parser.add_argument("--channel", default="email", choices=["email", "sms", "push", "in_app"])
    parser.add_argument("--chunk", type=int, default=500, help="notifications a transaction when they are accepted")
    parser.set_defaults(rate=0.0)  # `Load` asks
    known = TUNED[sys.argv[1]] if sys.argv[1:2] and sys.argv[1] in TUNED else TUNED["celery"]
    for name, value in known._asdict().items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    return parser.parse_args()


def run(peer: str, tuning: Tuning, options: argparse.Namespace, journal: Path) -> dict[str, Any]:
    """Seed, start the workers, accept and publish everything, wait for the end, check every row."""
    from django.db import connection

    from benchmarks.peers import work
    from benchmarks.peers.models import make_tables
    from benchmarks.peers.record import check, latencies, wait_for_the_end

    make_tables()
    dataset.seed(options.recipients)
    application = importlib.import_module(f"benchmarks.peers.{peer}_app")
    workers = subprocess.Popen([sys.executable, "-m", *tuning.command(peer)], cwd=ROOT)

    def groups() -> dict[str, list[int]]:
        return {
            "accept": [os.getpid()],
            "workers": processes.family(workers.pid),
            "postgres": processes.postgres(connection.settings_dict["NAME"]),
            "redis": processes.named("redis-server"),
            "rabbitmq": processes.named("beam.smp"),
        }

    n = options.notifications
    try:
        wait_for_consumers(os.environ["PEER_BROKER_URL"], os.environ["PEER_QUEUE"], tuning.consumers(peer))
        before = {name: processes.cpu_seconds(pids) for name, pids in groups().items()}
        began = time.monotonic()
        load = Load(options)
        publish_all((work.accept(chunk) for chunk in load), application.publish, tuning.publishers)
        accepted_in = time.monotonic() - began
        finished = wait_for_the_end(STALL)
        elapsed = time.monotonic() - began
        after = {name: processes.cpu_seconds(pids) for name, pids in groups().items()}
        memory = {name: round(processes.peak_rss_mb(pids)) for name, pids in groups().items() if pids}
        figures = latencies()
    finally:
        code = stop(workers)
    spent = {name: after[name] - before[name] for name in before}
    spent["accept"] -= load.seconds  # the benchmark's own making of drafts
    result = {
        "benchmark": "peers",
        "peer": peer,
        "tuning": tuning._asdict(),
        "notifications": n,
        "accepted_per_s": round(n / accepted_in, 1),
        "end_to_end_per_s": round(n / elapsed, 1),
        **figures,
        "cpu_us_per_notification": {name: round(seconds / n * 1e6, 1) for name, seconds in spent.items()},
        "peak_rss_mb": memory,
        "exit_codes": [code],
        **check(n, journal, finished),
    }
    connection.close()
    return result


def wait_for_consumers(broker: str, queue: str, count: int) -> None:
    """Until so many workers have imported everything and listen: this measures the flow, not Python's start. Raises
    TimeoutError after STARTED_WITHIN seconds."""
    connection = pika.BlockingConnection(pika.URLParameters(broker))
    deadline = time.monotonic() + STARTED_WITHIN
    found = 0
    while time.monotonic() < deadline:
        try:
            found = connection.channel().queue_declare(queue, passive=True).method.consumer_count
        except pika.exceptions.ChannelClosedByBroker:
            found = 0  # the queue is not there yet; the server closes the channel of whoever asks
        if found >= count:
            connection.close()
            return
        time.sleep(0.2)
    raise TimeoutError(f"{found} of {count} workers listen after {STARTED_WITHIN:.0f} seconds")


def publish_all(chunks: Any, publish: Callable[[list[int]], None], publishers: int) -> None:
    """Publish each chunk after its commit. Several publishers share a chunk: each has a connection of its own, and
    waits for the confirm of each of its messages."""
    with ThreadPoolExecutor(publishers) as pool:
        for ids in chunks:
            parts: list[Future[None]] = [pool.submit(publish, ids[n::publishers]) for n in range(publishers)]
            for part in parts:
                part.result()


def delete_queues(broker: str, queue: str) -> None:
    """Whatever the peers declared: Dramatiq adds one for delays and one for dead letters, Celery an exchange."""
    connection = pika.BlockingConnection(pika.URLParameters(broker))
    channel = connection.channel()
    for name in (queue, f"{queue}.DQ", f"{queue}.XQ"):
        channel.queue_delete(name)
    channel.exchange_delete(queue)
    connection.close()


if __name__ == "__main__":
    sys.exit(main())
