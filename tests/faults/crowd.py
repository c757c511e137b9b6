"""Clients that post, cancel, opt people out and let messages expire, by a seed, for as long as they are let."""

import random
import threading
from datetime import UTC, datetime, timedelta

from tests.faults.client import CONTENT, Client

CHANNELS = tuple(CONTENT)
PRIORITIES = ("critical", "high", "normal", "low")


class Crowd:
    """`threads` careful clients that share a journal. `failures` is what none of them should have met."""

    def __init__(self, client: Client, people: list[str], seed: int, *, threads: int = 6) -> None:
        self.client = client
        self.failures: list[str] = []
        self._people = people
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._live, args=(seed + n,)) for n in range(threads)]
        for thread in self._threads:
            thread.start()

    def leave(self, seconds: float) -> None:
        """Finish the calls in hand."""
        self._over.set()
        for thread in self._threads:
            thread.join(seconds)
            if thread.is_alive():
                self.failures.append("a client never got its answer")

    def _live(self, seed: int) -> None:
        chance = random.Random(seed)
        while not self._over.is_set():
            try:
                self._act(chance)
            except AssertionError as error:
                self.failures.append(str(error))
            self._over.wait(chance.uniform(0.02, 0.15))

    def _act(self, chance: random.Random) -> None:
        person = chance.choice(self._people)
        channels = chance.sample(CHANNELS, chance.choice((1, 1, 1, 2, 4)))
        more = {"priority": chance.choice(PRIORITIES)}
        lasts = chance.uniform(1.0, 6.0) if chance.random() < 0.1 else 0.0
        if not lasts and chance.random() < 0.1:
            more["send_at"] = (datetime.now(UTC) + timedelta(seconds=chance.uniform(1, 8))).isoformat()
        notification = self.client.send(person, *channels, lasts=lasts, **more)
        if notification and chance.random() < 0.1:
            self.client.cancel(notification)
        if chance.random() < 0.02:
            self.client.opt_out(person, chance.choice(channels))
