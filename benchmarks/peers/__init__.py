"""The usual way to send notifications from Django, as well as it can be done: a task a notification, ORM rows."""

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
    "celery": Tuning(processes=4, threads=1, prefetch=16, publishers=4, queue_type="quorum", prepare=1),
    "dramatiq": Tuning(processes=2, threads=4, prefetch=64, publishers=4, queue_type="quorum", prepare=1),
}


def missing(*peers: str) -> str:
    """One sentence when something that these peers need is not installed; else empty."""
    absent = [name for name in (*peers, "jinja2") if peers and importlib.util.find_spec(name) is None]
    if not absent:
        return ""
    command = f"{sys.executable} -m pip install -r requirements-bench.txt"
    return f"Not installed: {', '.join(absent)}. Install what Carillon is compared with: {command}"
