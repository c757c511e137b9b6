"""The usual way to send notifications from Django, as well as it can be done: a task a notification, ORM rows.

What a good engineer would do is done, and whatever could be left out in the peers' favour is (see `work`):

- durable: persistent messages, a confirm for each, acknowledged after the work, synchronous_commit on;
- few round trips: `bulk_create` when accepting, then one SELECT, and UPDATE and INSERT in one transaction a task;
- nothing opened twice: a database connection for the life of a process or thread (Celery closes it around every task
  unless CELERY_DB_REUSE_MAX is set), prepared statements, broker connections kept by four publishing threads;
- nothing extra: no results, events, gossip, rate limits or middleware without use; templates in Jinja2, compiled once.

Tried on two cores, 2,000 to 2,500 notifications a run, rates by the second. The machine was shared and its rates moved
by half between sittings, so compare within a line; the kept setting stands first:

- Celery, processes: 4, 2: 364, 340. In another sitting, on quorum queues, 4 and 8: 283 to 314, 229.
- Celery, prefetch a process, on a quorum queue: 100, 1: 314, 283. 16 and 100 could not be told apart; 16 is kept.
- Celery, queue type: classic 364, quorum 340, with 570 and 770 us of RabbitMQ's time.
- Dramatiq, threads and prefetch in each of two processes: 8 and 500, 4 and 64: 407 and 457, 291 and 296, 388 and 306;
  the first took less CPU in two of the three (3.5, 4.4, 4.4 against 4.0, 4.3, 5.8 ms). 8 and 8: 378. One thread: 195.
- Dramatiq, four processes of one thread: 177; of two: 221.
- Publishers: four threads that wait for confirms, one: 703 to 855 accepted a second, 379. It is not what limits.
- Reading delivery, notification, recipient and preference, Python's and PostgreSQL's time a task: one statement 1.80 +
  0.55 ms, a second one for the preference 2.72 + 0.69, `only()` 1.96 + 0.61, `values_list()` 2.02 + 0.59; `save()`
  instead of `update()` 1.85 + 0.58. PostgreSQL without prepared statements: 0.83 instead of 0.55.

Durable classic queues are kept for the peers since they are faster here. On one node they keep a confirmed message as
well as a quorum queue does; Carillon runs on quorum queues all the same. Not tried: msgpack (a message is one number),
gevent (the work is computing).
"""

import importlib.util
import sys
from typing import NamedTuple


class Tuning(NamedTuple):
    """How a peer is run."""

    processes: int
    threads: int  # a process; Celery's prefork pool has one
    prefetch: int  # Celery: messages a process (worker_prefetch_multiplier). Dramatiq: messages a process
    publishers: int  # threads that publish, each with a persistent connection
    queue_type: str  # of RabbitMQ: quorum or classic, durable either way
    prepare: int  # 1: server-side binding and prepared statements

    def environment(self) -> dict[str, str]:
        """What the peers' modules read when they are imported."""
        return {
            "PEER_PREFETCH": str(self.prefetch),
            "PEER_PUBLISHERS": str(self.publishers),
            "PEER_QUEUE_TYPE": self.queue_type,
            "PEER_PREPARE": str(self.prepare),
            "dramatiq_queue_prefetch": str(self.prefetch),
        }

    def command(self, peer: str) -> list[str]:
        """The worker's command line, after `python -m`."""
        if peer == "celery":
            quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING"]
            pool = ["--pool", "prefork", "--concurrency", str(self.processes)]
            return ["celery", "--app", "benchmarks.peers.celery_app", "worker", *pool, *quiet]
        return [
            *("dramatiq", "benchmarks.peers.dramatiq_app"),
            *("--processes", str(self.processes), "--threads", str(self.threads)),
        ]

    def consumers(self, peer: str) -> int:
        """How many consumers its queue has: Celery's parent process takes for all its children."""
        return 1 if peer == "celery" else self.processes


TUNED = {
    "celery": Tuning(processes=4, threads=1, prefetch=16, publishers=4, queue_type="classic", prepare=1),
    "dramatiq": Tuning(processes=2, threads=8, prefetch=500, publishers=4, queue_type="classic", prepare=1),
}


def missing(*peers: str) -> str:
    """One sentence when something that these peers need is not installed; else empty."""
    absent = [name for name in (*peers, "jinja2") if peers and importlib.util.find_spec(name) is None]
    if not absent:
        return ""
    command = f"{sys.executable} -m pip install -r requirements-bench.txt"
    return f"Not installed: {', '.join(absent)}. Install what Carillon is compared with: {command}"
