from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console

from analytics.terminal.screen import Screen

#: Columns of `--once` where there is no terminal to measure.
PLAIN_WIDTH = 120


class Command(BaseCommand):
    help = "How Carillon is doing, live in this terminal; q ends it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="print it once, as plain text, and exit")
        parser.add_argument("--seconds", type=float, default=2.0, help="between two looks (default 2)")

    def handle(self, *, once: bool, seconds: float, **options: Any) -> None:
        if not 0.2 <= seconds <= 3600:
            raise CommandError("--seconds takes a number from 0.2 to 3600.")
        if once or not self.stdout.isatty():
            self._once()
            return
        try:
            Screen(Console(highlight=False)).run(seconds)
        except KeyboardInterrupt:
            return

    def _once(self) -> None:
        console = Console(highlight=False, no_color=True, width=None if self.stdout.isatty() else PLAIN_WIDTH)
        screen = Screen(console)
        screen.read()
        if screen.shown is None:
            raise CommandError(screen.trouble)
        with console.capture() as drawn:
            console.print(screen.page())
        text = "\n".join(line.rstrip() for line in drawn.get().splitlines())
        encoding = getattr(self.stdout, "encoding", None) or "utf-8"  # a log may know ASCII alone
        self.stdout.write(text.encode(encoding, "replace").decode(encoding))
