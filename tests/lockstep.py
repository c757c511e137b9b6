"""Transactions that go on in step, so that what can deadlock does, at the first try."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import OperationalError, connection
from psycopg.errors import DeadlockDetected

_LOCKS = re.compile(r"\b(UPDATE|DELETE)\b")
#: Seconds that one waits for the others, at most: far more than anything takes.
PATIENCE = 60.0


class Lockstep:
    """Functions on threads of their own. After each statement that locks rows a thread waits until every other has come
    as far, has ended, or waits for a lock: so each holds all it can when it asks for the next. `deadlocks`: how often
    PostgreSQL had to end one, whatever became of it then."""

    def __init__(self) -> None:
        self.deadlocks = 0
        self._errors: list[Exception] = []
        self._steps: dict[int, int] = {}
        self._pids: dict[int, int] = {}
        self._begun: threading.Barrier

    def run(self, *functions: Callable[[], object]) -> list[Exception]:
        """What they raised, if anything. Needs a test whose rows are committed."""
        self._begun = threading.Barrier(len(functions))
        info = connection.get_connection_params()
        threads = [threading.Thread(target=self._go, args=(n, function, info)) for n, function in enumerate(functions)]
        [one.start() for one in threads], [one.join(2 * PATIENCE) for one in threads]
        assert not any(one.is_alive() for one in threads)
        return self._errors

    def _go(self, me: int, function: Callable[[], object], info: dict[str, Any]) -> None:
        try:
            with self._watched(me, info):
                function()
        except Exception as error:
            self._errors.append(error)
        finally:
            self._steps.pop(me, None)
            connection.close()

    @contextmanager
    def _watched(self, me: int, info: dict[str, Any]) -> Iterator[None]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            self._pids[me] = cursor.fetchone()[0]
        self._steps[me] = 0
        wanted = {key: info[key] for key in ("host", "port", "user", "password", "dbname") if info.get(key)}
        with psycopg.connect(**wanted, autocommit=True) as observer:
            self._begun.wait(PATIENCE)

            def step(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
                try:
                    done = execute(sql, params, many, context)
                except OperationalError as error:
                    self.deadlocks += isinstance(error.__cause__, DeadlockDetected)
                    raise
                if _LOCKS.search(str(sql)):
                    self._steps[me] += 1
                    self._wait(me, observer)
                return done

            with connection.execute_wrapper(step):
                yield

    def _wait(self, me: int, observer: psycopg.Connection[Any]) -> None:
        others = [n for n in self._pids if n != me]
        pause = threading.Event()
        for _ in range(int(PATIENCE / 0.005)):
            behind = [n for n in others if self._steps.get(n, self._steps[me]) < self._steps[me]]
            if all(self._waits(observer, self._pids[n]) for n in behind):
                return
            pause.wait(0.005)
        raise AssertionError("the others neither went on nor waited for a lock")

    def _waits(self, observer: psycopg.Connection[Any], pid: int) -> bool:
        found = observer.execute("SELECT pg_blocking_pids(%s) <> '{}'", [pid]).fetchone()
        return bool(found and found[0])
