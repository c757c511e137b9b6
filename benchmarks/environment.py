"""A place of its own on the real servers: database, Redis prefix and queues, made for a run and removed after it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

ROOT = Path(__file__).resolve().parent.parent


@contextmanager
def environment(transport: str, **settings: object) -> Iterator[dict[str, str]]:
    """Set os.environ for a run on a fresh database, migrate it, and drop everything at the end.

    The servers are those of DATABASE_URL, REDIS_URL and BROKER_URL, or the standard local ports. `settings` are
    further environment settings, by name.
    """
    name = f"carillon_bench_{os.getpid()}"
    server = os.environ.get("DATABASE_URL", "postgres://root@127.0.0.1:5432/postgres")
    broker = os.environ.get("BROKER_URL") or "amqp://guest:guest@127.0.0.1:5672/%2F"
    os.environ.update(
        {
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DATABASE_URL": urlunsplit(urlsplit(server)._replace(path=f"/{name}")),
            "BROKER_URL": broker if transport == "rabbitmq" else "",
            "BROKER_PREFIX": f"bench.{os.getpid()}",
            "REDIS_PREFIX": f"bench-{os.getpid()}",
            "LOG_LEVEL": "WARNING",
            "DEBUG": "0",
            **{key: str(value) for key, value in settings.items()},
        }
    )
    os.environ.setdefault("REDIS_URL", "redis://127.0.0.1:6379/0")
    os.environ.setdefault("SECRET_KEY", "only-for-benchmarks-" + "x" * 40)
    admin = psycopg.connect(server, autocommit=True)
    admin.execute(f'CREATE DATABASE "{name}"'.encode())
    try:
        manage("migrate", "--verbosity", "0")
        yield dict(os.environ)
    finally:
        _forget_redis()
        if transport == "rabbitmq":
            _forget_queues()
        admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())
        admin.close()


def instant(journal: Path) -> dict[str, object]:
    """Settings for a provider that takes everything at once, reports nothing and writes each call into `journal`."""
    return {
        "SIMULATOR_SUCCESS_RATE": 1, "SIMULATOR_TEMPORARY_RATE": 0, "SIMULATOR_INVALID_RATE": 0,
        "SIMULATOR_LATENCY_MS": 0, "SIMULATOR_RECEIPTS": 0, "SIMULATOR_JOURNAL": journal,
    }  # fmt: skip


def manage(*arguments: str) -> None:
    """Run a manage.py command to its end."""
    subprocess.run([sys.executable, str(ROOT / "manage.py"), *arguments], check=True)


def start(*arguments: str) -> subprocess.Popen[bytes]:
    """Start a manage.py command that runs until it is told to stop."""
    return subprocess.Popen([sys.executable, str(ROOT / "manage.py"), *arguments])


def stop(process: subprocess.Popen[bytes]) -> int:
    """SIGTERM and wait for the drain; its exit code."""
    process.terminate()
    return process.wait(timeout=60)


def _forget_redis() -> None:
    from core import redis

    client = redis.client()
    keys = client.scan_iter(match=f"{os.environ['REDIS_PREFIX']}*", count=10_000)
    while some := list(islice(keys, 5_000)):
        client.unlink(*some)


def _forget_queues() -> None:
    from notifications import messaging

    messaging.delete_topology()
