from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from config import processes
from core import supervisor


class Command(BaseCommand):
    """Every process of an installation that fits on one machine, under one supervisor."""

    help = "Run web, relay, one worker per channel, campaigns, events and maintenance in this terminal."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address the web process listens on")
        parser.add_argument("--port", type=int, default=8000)

    def handle(self, *args: Any, **options: Any) -> None:
        children = processes.everything(options["host"], options["port"])
        supervisor.run(children, drain_seconds=settings.DRAIN_SECONDS + 5)  # the children's own limit, and a margin
