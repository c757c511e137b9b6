"""manage.py import_recipients FILE.csv: create and change recipients from a CSV file. See docs/recipients.md."""

import resource
import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from preferences import phones
from preferences.importing.load import Counts, Options, load
from preferences.importing.rejects import Rejects
from preferences.importing.source import Source, SourceError

#: Rows a transaction: more gain nothing, and hold their locks and their memory longer.
MAX_BATCH = 100_000
#: Seconds between two lines where there is no terminal to draw a bar on.
PLAIN_EVERY_SECONDS = 5.0


class Command(BaseCommand):
    help = "Create and change recipients from a CSV file, by external_id. Other columns become attributes."
    requires_system_checks = ()  # pages and routes have no part in it

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="a CSV file with a header; it needs a column external_id (or id)")
        parser.add_argument("--delimiter", default=",", help="one character, or 'tab' (default: a comma)")
        parser.add_argument("--encoding", default="auto", help="default: by BOM, else UTF-8, else cp1252")
        parser.add_argument("--default-region", help="country of phone numbers written without one, for example DE")
        parser.add_argument("--rejects", type=Path, help="where rejected rows go (default: FILE.rejects.csv)")
        parser.add_argument("--dry-run", action="store_true", help="read and check everything, write nothing")
        parser.add_argument("--batch", type=int, default=10_000, help="rows a transaction (default: 10000)")

    def handle(self, *_: Any, **given: Any) -> None:
        path: Path = given["file"]
        rejects_path: Path = given["rejects"] or path.with_name(f"{path.name}.rejects.csv")
        if rejects_path.resolve() == path.resolve():
            raise CommandError("--rejects would overwrite the file that is imported.")
        bar = _Progress(sys.stderr)
        try:
            source = Source(path, delimiter=_delimiter(given["delimiter"]), encoding=given["encoding"])
            with source, Rejects(rejects_path) as rejects, bar.of(source):
                counts = load(source, rejects, _options(given), bar.tick)
        except SourceError as error:
            raise CommandError(str(error)) from None
        except OSError as error:
            where = error.filename or rejects_path
            raise CommandError(f"{where}: {error.strerror}. Pass --rejects to write it elsewhere.") from None
        except (DatabaseError, KeyboardInterrupt) as error:
            raise CommandError(
                f"Stopped after line {bar.counts.line} ({type(error).__name__}). What came before is imported; run the"
                " same command again to go on."
            ) from error
        self._report(counts, rejects, dry_run=given["dry_run"])

    def _report(self, counts: Counts, rejects: Rejects, *, dry_run: bool) -> None:
        """What became of the file. ru_maxrss is in KB, on macOS in bytes."""
        unit = 1024 * 1024 if sys.platform == "darwin" else 1024
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
        table = Table(show_header=False, box=None, pad_edge=False)
        rows = {"records read": counts.records, "accepted": counts.records - counts.rejected}
        if not dry_run:
            rows |= {"created": counts.created, "updated": counts.updated, "unchanged": counts.unchanged}
        rows |= {"duplicate ids": counts.duplicates, "rejected": counts.rejected}
        if counts.repaired_bytes:
            rows["bytes read as cp1252"] = counts.repaired_bytes
        for name, number in rows.items():
            table.add_row(name, f"{number:,}")
        table.add_row("seconds", f"{counts.seconds:,.1f}")
        table.add_row("rows/s", f"{counts.records / max(counts.seconds, 0.001):,.0f}")
        table.add_row("peak memory", f"{peak:,.0f} MB")
        console = Console(highlight=False)
        with console.capture() as report:
            console.print(table)
        self.stdout.write(report.get(), ending="")
        if counts.rejected:
            self.stdout.write(f"Rejected rows, with line and reason: {rejects.path}")
        if dry_run:
            self.stdout.write("Dry run: nothing was written.")


class _Progress:
    """A bar over the file's bytes on a terminal, and a line now and then elsewhere."""

    def __init__(self, stream: Any) -> None:
        self.counts = Counts()
        self._console = Console(file=stream)
        self._printed_at = time.monotonic()

    def of(self, source: Source) -> Progress:
        self._source = source
        self._progress = Progress(
            TextColumn("{task.fields[rows]:,} rows"),
            BarColumn(),
            TextColumn("{task.percentage:3.0f}% {task.fields[rate]:,.0f} rows/s"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
            transient=True,
        )
        self._task = self._progress.add_task("import", total=source.size, rows=0, rate=0.0)
        return self._progress

    def tick(self, counts: Counts) -> None:
        self.counts = counts
        done = counts.records + counts.rejected
        rate = done / max(counts.seconds, 0.001)
        self._progress.update(self._task, completed=self._source.position, rows=done, rate=rate)
        now = time.monotonic()
        if not self._console.is_terminal and now - self._printed_at >= PLAIN_EVERY_SECONDS:
            self._printed_at = now
            self._console.print(f"{done:,} rows, {rate:,.0f} rows/s, {counts.rejected:,} rejected", highlight=False)


def _delimiter(text: str) -> str:
    mark = {"tab": "\t", "\\t": "\t"}.get(text, text)
    if len(mark) != 1 or mark in '"\r\n\0':
        raise CommandError("--delimiter takes one character, or 'tab'.")
    return mark


def _options(given: dict[str, Any]) -> Options:
    if not 1 <= given["batch"] <= MAX_BATCH:
        raise CommandError(f"--batch takes 1 to {MAX_BATCH}.")
    region = given["default_region"].upper() if given["default_region"] else None
    if region and not phones.is_region(region):
        raise CommandError("--default-region takes a country code of two letters, for example DE.")
    return Options(batch=given["batch"], region=region, dry_run=given["dry_run"])
