"""A service manager for a test: keeps every process of Carillon running, and counts what it had to start again."""

import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import psycopg

from tests.faults.programs import Program
from tests.faults.stack import Stack

#: How long a killed process stays away, at most.
AWAY_SECONDS = 1.5
_CHANNELS = {
    "worker-email": "email",
    "worker-email-2": "email",
    "worker-sms": "sms",
    "worker-push": "push",
    "worker-in-app": "in_app",
}


class Service:
    """Web, relay, two workers for email, one for SMS, push and the feed, events, maintenance."""

    def __init__(self, stack: Stack, chance: random.Random) -> None:
        program, self.client = stack.api()
        self._stack, self._chance = stack, chance
        self._starts: dict[str, Callable[[], Program]] = {
            "api": lambda: stack.api(self.client.port)[0],
            "relay": stack.relay,
            "worker-email": lambda: stack.worker("email"),
            "worker-email-2": lambda: stack.worker("email"),
            "worker-sms": lambda: stack.worker("sms"),
            "worker-push": lambda: stack.worker("push"),
            "worker-in-app": lambda: stack.worker("in_app"),
            "events": stack.events,
            "maintenance": stack.maintenance,
        }
        self._running = {"api": program}
        for name, start in self._starts.items():
            if name not in self._running:
                self._running[name] = start()
        self.crashes = 0  # workers that were killed
        self.allowed = 0  # messages these may have had with a provider: what may be sent twice
        self.strays: list[str] = []  # processes that ended by themselves
        self._uncounted: list[str] = []
        self._back_at: dict[str, float] = {}
        self._ended = threading.Event()
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()

    @property
    def names(self) -> list[str]:
        return list(self._starts)

    @property
    def workers(self) -> list[str]:
        return list(_CHANNELS)

    def kill(self, name: str) -> None:
        """kill -9. What a worker's channel has in flight at that moment may be sent twice, and nothing else."""
        self._back_at[name] = time.monotonic() + self._chance.uniform(0, AWAY_SECONDS)
        self._running[name].kill()
        if name in _CHANNELS:
            self.crashes += 1
            self._uncounted.append(_CHANNELS[name])
            with suppress(psycopg.Error):
                self.count()

    def count(self) -> None:
        """Count what the killed workers had in flight. Their leases last, so it can be done a little later, too.
        Raises psycopg.Error while PostgreSQL is away."""
        query = "SELECT count(*) FROM notifications_delivery WHERE status = 'sending' AND channel = %s"
        while self._uncounted:
            self.allowed += int(self._stack.one(query, self._uncounted[-1]))
            self._uncounted.pop()

    def stop(self, name: str) -> None:
        """SIGTERM, as at a deployment; it leaves in time and with 0."""
        self._back_at[name] = float("inf")
        code = self._running[name].stop(30)
        self._back_at[name] = 0.0
        assert code == 0 or name == "api", f"{name} ended with {code}"

    def end(self) -> None:
        """No process is started any more; those that run go on."""
        self._ended.set()
        self._keeper.join()

    def _keep(self) -> None:
        while not self._ended.wait(0.1):
            for name, program in list(self._running.items()):
                if program.code is None or time.monotonic() < self._back_at.get(name, 0.0):
                    continue
                if name not in self._back_at:
                    self.strays.append(f"{name} ended with {program.code}: {program.said()[-400:]}")
                self._back_at.pop(name, None)
                self._running[name] = self._starts[name]()
