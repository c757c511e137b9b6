import time
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand
from django.db import Error, close_old_connections

from config.demo import TRAFFIC, traffic_rate
from config.demo_data import catalogue, people, traffic_catalogue
from config.demo_data.traffic import Traffic
from core.shutdown import Shutdown
from notifications.errors import CarillonError

#: Seconds between two steps of the stream.
STEP = 0.25
#: What comes seldom: seconds before it does first, and between two of its kind.
CAMPAIGN, TALK, ASK = (20.0, 600.0), (5.0, 20.0), (10.0, 150.0)
#: Seconds to wait while it cannot go on.
AWAY = 2.0


class Seldom:
    """Something that is done every so many seconds, the first time after `first`."""

    def __init__(self, do: Callable[[], object], first: float, every: float) -> None:
        self._do, self._every = do, every
        self._next = time.monotonic() + first

    def look(self, now: float) -> None:
        """Do it when its time has come; what an absence missed stays missed."""
        if now >= self._next:
            self._next = now + self._every
            self._do()


class Command(BaseCommand):
    """A made-up shop's notifications, until SIGTERM. `bin/run --traffic` runs it beside everything else."""

    help = "Send a steady, varied stream of demo notifications to the demo's 10,000 people, until SIGTERM."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--rate", type=traffic_rate, default=TRAFFIC, metavar="N", help=f"notifications a second; default {TRAFFIC}"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        catalogue.seed()
        catalogue.seed(traffic_catalogue.CATEGORIES, traffic_catalogue.TEMPLATES)
        people.seed()
        shutdown = Shutdown()
        traffic = Traffic(per_second=options["rate"], seed=time.time_ns())
        seldom = [
            Seldom(traffic.campaign, *CAMPAIGN),
            Seldom(traffic.talk, *TALK),
            Seldom(traffic.ask, *ASK),
        ]
        last = time.monotonic()
        while not shutdown.wait(STEP):
            now = time.monotonic()
            try:
                traffic.step(now, min(now - last, 1.0))  # what an absence missed stays missed
                for each in seldom:
                    each.look(now)
            except (Error, CarillonError) as error:  # PostgreSQL is away, or all is too slow: it will pass
                self.stderr.write(f"Demo traffic waits: {type(error).__name__}.")
                close_old_connections()
                shutdown.wait(AWAY)
            last = now
