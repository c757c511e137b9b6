"""Where a test run finds its servers: those named by the environment, else those on their standard local ports, else
its own, started for the run and gone with it. Each function yields a URL."""

import getpass
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pika
import psycopg
from redis import Redis, RedisError

from config import embedded

OLDEST_POSTGRESQL = 150_000
NODE_START_SECONDS = 60.0


def say(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")


@contextmanager
def database(scratch: Path) -> Iterator[str]:
    """PostgreSQL 15 or newer, as a user who may create databases."""
    if url := os.environ.get("DATABASE_URL"):
        yield url
        return
    for candidate in _local_databases():
        if _usable(candidate):
            say(f"PostgreSQL: {candidate}")
            yield candidate
            return
    say("PostgreSQL: none on port 5432 that lets us create databases, so an embedded one")
    with embedded.postgres(scratch / "postgres") as url:
        yield url


def _local_databases() -> Iterator[str]:
    for user in dict.fromkeys((getpass.getuser(), "postgres", "root")):
        yield f"postgres://{user}@127.0.0.1:5432/postgres"
        yield f"postgres://{user}@/postgres?host={quote('/var/run/postgresql')}"


def _usable(url: str) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=3) as connection:
            role = "SELECT rolsuper OR rolcreatedb FROM pg_roles WHERE rolname = current_user"
            may_create = connection.execute(role).fetchone() == (True,)
            return may_create and connection.info.server_version >= OLDEST_POSTGRESQL
    except psycopg.Error:
        return False


@contextmanager
def redis() -> Iterator[str]:
    if url := os.environ.get("REDIS_URL"):
        yield url
        return
    local = "redis://127.0.0.1:6379/0"
    try:
        with Redis.from_url(local, socket_timeout=3, retry=embedded.no_retry()) as client:
            client.ping()
    except RedisError:
        say("Redis: none on port 6379, so an embedded one")
        with embedded.FakeRedis() as server:
            yield server.url()
    else:
        say(f"Redis: {local}")
        yield local


@contextmanager
def broker(scratch: Path) -> Iterator[str]:
    """RabbitMQ, or an empty text when there is none and none can be started: its tests will say so."""
    if url := os.environ.get("BROKER_URL"):
        yield url
        return
    local = "amqp://guest:guest@127.0.0.1:5672/%2F"
    program = _rabbitmq_program()
    if _answers(local):
        say(f"RabbitMQ: {local}")
        yield local
    elif program is None:
        say("RabbitMQ: none on port 5672 and none installed, so its tests are skipped")
        yield ""
    else:
        say(f"RabbitMQ: none on port 5672, so a private node of {program}")
        with _node(program, scratch / "rabbitmq") as url:
            yield url


def _rabbitmq_program() -> str | None:
    """Debian's own wrapper in the PATH changes to the user `rabbitmq`, who may not write to our folder; what it wraps
    runs as whoever we are."""
    wrapped = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
    return str(wrapped) if wrapped.exists() else shutil.which("rabbitmq-server")


def _answers(url: str) -> bool:
    try:
        parameters = pika.URLParameters(url)
        parameters.socket_timeout = parameters.stack_timeout = 3
        pika.BlockingConnection(parameters).close()
    except (pika.exceptions.AMQPError, OSError):
        return False
    return True


@contextmanager
def _node(program: str, home: Path) -> Iterator[str]:
    """A RabbitMQ node of our own: own name, ports, data and cookie, so that it meets no other on this machine."""
    home.mkdir(mode=0o700)
    port, distribution = free_port(), free_port()
    (home / "plugins").write_text("[].\n")
    environment = {
        **os.environ,
        "HOME": str(home),
        "RABBITMQ_NODENAME": f"carillon-test-{os.getpid()}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_MNESIA_BASE": str(home / "data"),
        "RABBITMQ_LOG_BASE": str(home / "log"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "plugins"),
        "RABBITMQ_CONFIG_FILE": str(home / "none"),
        "RABBITMQ_PID_FILE": str(home / "pid"),
    }
    url = f"amqp://guest:guest@127.0.0.1:{port}/%2F"
    process = subprocess.Popen(
        [program], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        if (
            not wait(lambda: process.poll() is not None or _answers(url), NODE_START_SECONDS)
            or process.poll() is not None
        ):
            say(f"RabbitMQ: the private node did not start; its log was in {home / 'log'}")
            url = ""
        yield url
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def chromium_program() -> str | None:
    """The distribution's browser: Playwright needs no download of its own."""
    names = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether it came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True
