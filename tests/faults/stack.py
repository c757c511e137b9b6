"""A whole Carillon of real processes on the servers it is given; every clock in it is short."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from tests.faults.client import Client
from tests.faults.programs import ROOT, Program, wait_until
from tests.servers import free_port

#: Seconds. The shortest lease that leaves a provider call its time and the record its margin.
LEASE = 8
PACE = {
    "LEASE_SECONDS": LEASE,
    "VISIBILITY_SECONDS": LEASE + 2,
    "PROVIDER_TIMEOUT_SECONDS": 1,
    "RETRY_BASE_SECONDS": 0.5,
    "RETRY_CAP_SECONDS": 4,
    "RECONCILE_AFTER_SECONDS": 10,
    "RECONCILE_FULL_SECONDS": 1,
    "BROKER_CONFIRM_TIMEOUT_SECONDS": 3,
    "BROKER_DELIVERY_LIMIT": 3,
    "DATABASE_POOL_SIZE": 4,
    "WORKER_THREADS": 2,
    "SIMULATOR_SUCCESS_RATE": 1,
    "SIMULATOR_TEMPORARY_RATE": 0,
    "SIMULATOR_INVALID_RATE": 0,
    "SIMULATOR_LATENCY_MS": 0,
    "SIMULATOR_RECEIPTS": 0,
}


class Stack:
    """Starts Carillon's processes, and answers what its database says. `environment` names the servers.

    Questions go to `database_url`, past any proxy in `environment`.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str], database_url: str = "") -> None:
        self.folder = folder
        self.journal = folder / "journal"
        self.journal.touch()
        self.database_url = database_url or environment["DATABASE_URL"]
        self.environment = {
            **os.environ,
            **{name: str(value) for name, value in PACE.items()},
            "SIMULATOR_JOURNAL": str(self.journal),
            "SECRET_KEY": "only-for-tests-" + "x" * 50,
            "HTTPS": "0",
            "DEBUG": "0",
            "DEMO": "0",
            **environment,
            "LOG_LEVEL": "INFO",
            "DJANGO_SETTINGS_MODULE": "tests.faults.settings",
        }
        self.programs: list[Program] = []
        self.web_port = 0
        self._closed = False

    def start(self, name: str, *command: str, **more: object) -> Program:
        """A program of ours with `more` in its environment."""
        assert not self._closed, "the stack is closed"
        env = {**self.environment, **{key: str(value) for key, value in more.items()}}
        log = self.folder / f"{len(self.programs):03d}-{name}.log"
        program = Program(name, [sys.executable, "-W", "ignore", *command], env, log)
        self.programs.append(program)
        return program

    def manage(self, name: str, *arguments: str, **more: object) -> Program:
        return self.start(name, str(ROOT / "manage.py"), *arguments, **more)

    def relay(self, **more: object) -> Program:
        return self.manage("relay", "run_relay", **more)

    def worker(self, channel: str = "email", **more: object) -> Program:
        return self.manage(f"worker-{channel}", "run_worker", "--channel", channel, **more)

    def maintenance(self, **more: object) -> Program:
        return self.manage("maintenance", "run_maintenance", **more)

    def events(self, **more: object) -> Program:
        """The simulator's webhooks go to the web process, when there is one."""
        where = {"SIMULATOR_WEBHOOK_URL": f"http://127.0.0.1:{self.web_port}"} if self.web_port else {}
        return self.manage("events", "run_events", **where, **more)

    def api(self, port: int = 0, **more: object) -> tuple[Program, Client]:
        """The web process, as the container starts it, and a caller of its API. Not waited for: `Client.ready`."""
        self.web_port = port = port or free_port()
        command = ["-m", "daphne", "--verbosity", "0", "--bind", "127.0.0.1", "--port", str(port), "--no-server-name"]
        return self.start("api", *command, "config.asgi:application", **more), Client(port)

    def query(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with self.connect() as connection:
            cursor = connection.execute(statement, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def patient(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """The same, also while PostgreSQL is being killed: it is asked until it answers."""
        answers: list[list[tuple[Any, ...]]] = []

        def asked() -> bool:
            try:
                answers.append(self.query(statement, *parameters))
            except psycopg.Error:
                return False
            return True

        wait_until(asked, 60, "an answer of PostgreSQL")
        return answers[-1]

    def connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.database_url, autocommit=True, connect_timeout=5)

    def one(self, statement: str, *parameters: Any) -> Any:
        return self.query(statement, *parameters)[0][0]

    def statuses(self) -> dict[str, int]:
        return dict(self.query("SELECT status, count(*) FROM notifications_delivery GROUP BY 1"))

    def unfinished(self) -> int:
        return int(self.one("SELECT count(*) FROM notifications_delivery WHERE status IN ('queued', 'sending')"))

    def drain(self, seconds: float = 45.0) -> None:
        """Wait until every delivery has ended."""
        wait_until(lambda: self.unfinished() == 0, seconds, f"the end of every delivery ({self.unfinished()} open)")

    def calls(self) -> list[str]:
        """The delivery ids of the messages a provider took, in order."""
        lines = (line.split("\t") for line in self.journal.read_text().splitlines())
        return [str(UUID(line[0])) for line in lines if line[3] == "accepted"]

    def close(self) -> None:
        """Every process is gone afterwards. What they said last is shown by pytest should the test have failed."""
        self._closed = True
        for program in self.programs:
            program.kill()
            print(f"--- {program.name} {program.pid}: {program.code}\n{program.said()[-1500:]}")  # noqa: T201
