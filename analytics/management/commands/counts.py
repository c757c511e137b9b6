"""manage.py counts: whether the figures are what the record says, and counting them anew. See docs/operations.md."""

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.dateparse import parse_datetime

from analytics import services
from analytics.rollups import spans
from analytics.services import CannotRebuild, Discrepancy
from core.moments import database_now
from notifications.management.tables import Tables

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
#: Discrepancies that are shown, of all that are counted.
SHOWN = 50


class Command(BaseCommand):
    help = "Compare the counters with the events they were counted from (verify), or count events anew (rebuild)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
        for name, what in (
            ("verify", "compare counters with events, and cells with what they were made of; fails when any differs"),
            ("rebuild", "count the events of whole hours anew, each in one transaction"),
        ):
            command = commands.add_parser(name, help=what)
            command.add_argument("--since", type=_when, help="UTC unless it says otherwise (default: a day ago)")
            command.add_argument("--until", type=_when, help="(default: the running hour's beginning)")

    def handle(self, *_: Any, command: str, since: datetime | None, until: datetime | None, **options: Any) -> None:
        now = database_now()
        until = min(until or spans.floor(now, 60), now)
        since = since or until - DAY
        if since >= until:
            raise CommandError("There is nothing between --since and --until.")
        self.tables = Tables(self.stdout)
        if command == "verify":
            self._verify(since, until)
        else:
            self._rebuild(spans.floor(since, 60), until)

    def _verify(self, since: datetime, until: datetime) -> None:
        found: list[Discrepancy] = []
        for low, high in _hours(since, until):
            found += services.verify(low, high)
        for low, high in _days(since, until):
            found += services.verify_cells(low, high)
        self._show(found)
        if found:
            raise CommandError(f"{len(found):,} counters are not what the record says.")
        self.stdout.write(f"Every counter from {_words(since)} to {_words(until)} is what the record says.")

    def _rebuild(self, since: datetime, until: datetime) -> None:
        repaired, left = 0, 0
        for hour, _ in _hours(since, until):
            try:
                wrong = services.rebuild(hour)
            except CannotRebuild as error:
                left += 1
                self.stderr.write(f"{_words(hour)}: {error}")
                continue
            repaired += len(wrong)
            self._show(wrong)
        self.stdout.write(f"{repaired:,} counters were wrong and are what the record says now.")
        if left:
            raise CommandError(f"{left:,} hours were left as they are.")

    def _show(self, found: list[Discrepancy]) -> None:
        if not found:
            return
        head = (
            "counted",
            "happened",
            "at",
            "minutes",
            "source",
            "category",
            "channel",
            "provider",
            "outcome",
            "reason",
        )
        rows = [
            (f"{one.counted:,}", f"{one.happened:,}", _words(one.at), str(one.size), *map(str, one.key))
            for one in found[:SHOWN]
        ]
        self.tables.write(head, rows, numbers=2)
        if len(found) > SHOWN:
            self.stdout.write(f"... and {len(found) - SHOWN:,} more.")


def _hours(since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    """A span cut at the hours: the events of more are too many to hold."""
    while since < until:
        end = min(spans.floor(since, 60) + HOUR, until)
        yield since, end
        since = end


def _days(since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The weeks that a span touches, day by day and then as a whole: a cell is looked at in full or not at all."""
    week = spans.floor(since, 10_080)
    while week < until:
        for day in range(7):
            if (begins := week + day * DAY) < until and begins + DAY > since:
                yield begins, begins + DAY
        yield week, week + 7 * DAY
        week += 7 * DAY


def _when(text: str) -> datetime:
    """A date or a moment, ISO 8601."""
    try:
        moment = parse_datetime(text if "T" in text or " " in text else f"{text}T00:00")
    except ValueError:
        moment = None
    if moment is None:
        raise ArgumentTypeError(f"{text!r} is not a moment; write 2026-03-01 or 2026-03-01T14:30.")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _words(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M}"
