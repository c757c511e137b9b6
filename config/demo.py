"""`manage.py demo`: everything on one machine. Servers first, then the settings, then the command of that name."""

import argparse
import errno
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

from config import embedded

BASE_DIR = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"  # the demo's admin has a known password: nobody else may reach it
PORT = 8000
#: A person at a terminal waits for the end: what a worker has in hand finishes in well under this.
PATIENCE = {"DRAIN_SECONDS": "6", "PROVIDER_TIMEOUT_SECONDS": "5", "WEBHOOK_TIMEOUT_SECONDS": "5"}
#: Notifications a second of the demo's traffic: lively, and a day of it is under a million. And the most of them.
TRAFFIC = "10"
MOST_TRAFFIC = 500
#: A provider whose outage is switched off again is found out within this: somebody is watching.
PROBE_SECONDS = "20"
OLDEST_POSTGRESQL = 150_000  # unique constraints that treat nulls as equal


def main(arguments: list[str]) -> int:
    """Returns the exit code; what stands in the way is said in a sentence."""
    options = _options(arguments)
    port: int = options.port
    signal.signal(signal.SIGTERM, _leave)  # so that the servers are stopped, whenever it comes
    try:
        _check_port(port)
        with _environment(port):
            from django.core.exceptions import ImproperlyConfigured
            from django.core.management import execute_from_command_line

            try:
                execute_from_command_line(["manage.py", "demo", *_handed_on(options)])
            except ImproperlyConfigured as error:
                raise embedded.CannotStart(str(error)) from error
    except embedded.CannotStart as error:
        sys.stderr.write(f"\nCarillon cannot start. {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped.\n")
    return 0


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="manage.py demo",
        description="Carillon with demo data on this machine. Servers that DATABASE_URL and REDIS_URL don't name are"
        " brought along; with BROKER_URL set, RabbitMQ carries the work.",
    )
    parser.add_argument(
        "--port",
        type=int,
        default=os.environ.get("PORT") or PORT,
        help=f"where the web process listens on {HOST}; default PORT, or {PORT}",
    )
    parser.add_argument(
        "--traffic",
        nargs="?",
        const=TRAFFIC,
        metavar="N",
        help=f"send made-up notifications too, N a second (default {TRAFFIC}), so that the dashboard lives",
    )
    options = parser.parse_args(arguments)
    if not 1 <= options.port <= 65535:
        parser.error("--port must be between 1 and 65535")
    if options.traffic is not None:
        try:
            traffic_rate(options.traffic)
        except argparse.ArgumentTypeError as error:
            parser.error(f"--traffic {error}")
    return options


def traffic_rate(text: str) -> float:
    """Notifications a second, from the command line."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= MOST_TRAFFIC:
        raise argparse.ArgumentTypeError(f"must be a number above 0 and at most {MOST_TRAFFIC}")
    return value


def _handed_on(options: argparse.Namespace) -> list[str]:
    traffic = [] if options.traffic is None else ["--traffic", options.traffic]
    return ["--port", str(options.port), *traffic]


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if error.errno == errno.EACCES:
                raise embedded.CannotStart(
                    f"Port {port} is not ours to take. Choose one above 1023: --port 8001"
                ) from None
            another = port + 1 if port < 65535 else PORT
            raise embedded.CannotStart(
                f"Port {port} is taken by another program. Choose another: bin/run --port {another}"
            ) from None


@contextmanager
def _environment(port: int) -> Iterator[None]:
    """The environment that the settings will read: the caller's, completed by servers of our own."""
    public_url = os.environ.setdefault("PUBLIC_URL", f"http://{HOST}:{port}")
    os.environ.setdefault("DEMO", "1")
    os.environ.setdefault("LOG_LEVEL", "WARNING")
    os.environ.setdefault("LOG_JSON", "0")
    if not PATIENCE.keys() & os.environ.keys():
        os.environ.update(PATIENCE)
    os.environ.setdefault("BREAKER_OPEN_MAX_SECONDS", PROBE_SECONDS)
    checks = {"DATABASE_URL": _check_database, "REDIS_URL": _check_redis, "BROKER_URL": _check_broker}
    given = {name: os.environ.get(name, "") for name in checks}
    for name, check in checks.items():
        if given[name]:
            check(given[name])
    with embedded.serve(
        BASE_DIR, public_url=public_url, database=not given["DATABASE_URL"], redis=not given["REDIS_URL"]
    ):
        yield


def _check_database(url: str) -> None:
    import psycopg

    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            version = connection.info.server_version
    except psycopg.Error as error:
        said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise embedded.CannotStart(
            f"The database of DATABASE_URL can't be used: {said}\n"
            "Start that server or correct DATABASE_URL; unset it, and an embedded PostgreSQL is brought along."
        ) from None
    if version < OLDEST_POSTGRESQL:
        raise embedded.CannotStart(f"DATABASE_URL names PostgreSQL {version // 10_000}; it must be 15 or newer.")


def _check_redis(url: str) -> None:
    from redis import Redis, RedisError

    try:
        with Redis.from_url(url, socket_connect_timeout=5, socket_timeout=5, retry=embedded.no_retry()) as client:
            client.ping()
    except (RedisError, ValueError) as error:
        raise embedded.CannotStart(
            f"The Redis of REDIS_URL can't be used: {error}\n"
            "Start that server or correct REDIS_URL; unset it, and an embedded one is brought along."
        ) from None


def _check_broker(url: str) -> None:
    """Somebody must listen there. A wrong password or virtual host is told by the relay, in its log."""
    where = urlsplit(url)
    host, port = where.hostname or "127.0.0.1", where.port or (5671 if where.scheme == "amqps" else 5672)
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError as error:
        raise embedded.CannotStart(
            f"BROKER_URL names {host}:{port}, but nothing answers there ({error.strerror or error}).\n"
            "Start RabbitMQ or correct BROKER_URL; unset it, and the database carries the work."
        ) from None
