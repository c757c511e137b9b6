"""A CSV file into the recipients: one thread reads and checks, the other hands finished batches to PostgreSQL.

Each batch is a transaction of its own: COPY into a temporary table, one INSERT for who is new, one UPDATE for who
changed. An import that stops half-way has done what it has done; running it again finds that part unchanged.

Without Redis: the import goes on; what is cached of changed recipients is at most PREFERENCE_CACHE_SECONDS old, which
the claim allows for.
"""

import gc
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty, Full, Queue

from django.db import connection, transaction

from core.ids import uuid7
from preferences.choices import Way
from preferences.importing.rejects import Rejects
from preferences.importing.rows import Batch, Plan, plan
from preferences.importing.source import Source, SourceError
from preferences.services.recipients import insert_new, update_changed
from preferences.services.service import reach_cache

#: Batches that may wait for the database: reading runs ahead of it by so much and no more, whatever the file's size.
_AHEAD = 2
_POLL_SECONDS = 0.2
#: How long the thread that reads may keep the other from its turn, which comes round some ten times a batch while
#: PostgreSQL stands still. Python's own is 5 ms.
_TURN_SECONDS = 0.0005

_TABLES = """
    CREATE TEMP TABLE IF NOT EXISTS carillon_import
        (id uuid, external_id text, name text, email text, phone text, locale text, timezone text, quiet_hours text,
         email_verified boolean, phone_verified boolean, attributes jsonb);
    CREATE TEMP TABLE IF NOT EXISTS carillon_import_seen (hash bigint);
    TRUNCATE carillon_import_seen
"""
_COPY = "COPY carillon_import FROM STDIN (NULL '')"
_INSERT = insert_new("carillon_import i")
_UPDATE = update_changed("carillon_import i", "r.attributes || coalesce(i.attributes, '{}')")
_SEEN = "INSERT INTO carillon_import_seen SELECT hashtextextended(external_id, 0) FROM carillon_import"
_REPEATED = "SELECT count(*) - count(DISTINCT hash) FROM carillon_import_seen"
#: A batch is a thousandth of a big table: always by index, and never worth compiling for.
_BY_INDEX = "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL jit = off"


@dataclass(slots=True)
class Counts:
    """What became of the records of a file. `duplicates` are records whose external id stands in the file again: they
    are merged, later cells first, and may count as created once and updated once. `line` is the last line that is in
    the database."""

    records: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    duplicates: int = 0
    repaired_bytes: int = 0
    line: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Options:
    """How to read and how to write: rows a batch, the country of numbers written without one, and whether to write."""

    batch: int = 10_000
    region: str | None = None
    dry_run: bool = False


def load(source: Source, rejects: Rejects, options: Options, tick: Callable[[Counts], None]) -> Counts:
    """Import a file; `tick` is called after every batch. Raises SourceError, and what the database raises."""
    started = time.monotonic()
    layout = plan(_header(source), region=options.region)
    counts = Counts()
    if not options.dry_run:
        with connection.cursor() as cursor:
            cursor.execute(_TABLES)
    with _at_full_speed():
        for batch in _read_ahead(source, layout, rejects, options.batch):
            if batch.rows and not options.dry_run:
                _write(batch, counts)
            counts.records += batch.records
            counts.duplicates += batch.records - batch.rows
            counts.line = batch.line
            counts.rejected += len(batch.rejected)
            counts.seconds = time.monotonic() - started
            tick(counts)
            gc.collect()
    if not options.dry_run:
        counts.duplicates += _repeated()
    counts.repaired_bytes = source.repaired
    counts.records += counts.rejected
    counts.seconds = time.monotonic() - started
    return counts


@contextmanager
def _at_full_speed() -> Iterator[None]:
    """Short turns, and garbage collected when asked for: rows are a hundred thousand objects a batch and make no
    cycles, yet looking for some took 40% of the reading."""
    turn, collecting = sys.getswitchinterval(), gc.isenabled()
    sys.setswitchinterval(_TURN_SECONDS)
    gc.disable()
    gc.freeze()  # what was there before need not be looked at each time
    try:
        yield
    finally:
        gc.unfreeze()
        if collecting:
            gc.enable()
        sys.setswitchinterval(turn)


def _header(source: Source) -> list[str]:
    first = next(iter(source), None)
    if first is None:
        raise SourceError("The file is empty.")
    if first.problem:
        raise SourceError(f"The header cannot be read. {first.problem}")
    return first.cells


def _write(batch: Batch, counts: Counts) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_BY_INDEX)
        cursor.execute("TRUNCATE carillon_import")
        with cursor.copy(_COPY) as copy:
            copy.write(batch.copy)
        cursor.execute(_SEEN)
        cursor.execute(_INSERT)
        created: int = cursor.fetchone()[0]
        changed: list[str] = []
        if created < batch.rows:
            cursor.execute(_UPDATE, {"way": Way.IMPORT.value, "batch": uuid7()})
            changed = [row[0] for row in cursor.fetchall()]
        if changed:
            transaction.on_commit(lambda: reach_cache.drop(changed))
    counts.created += created
    counts.updated += len(changed)
    counts.unchanged += batch.rows - created - len(changed)


def _repeated() -> int:
    """External ids that came in more than one batch: counted by the database, so that memory stays bounded."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute(_REPEATED)
        repeated: int = cursor.fetchone()[0]
        cursor.execute("DROP TABLE carillon_import, carillon_import_seen")
    return repeated


def _read_ahead(source: Source, layout: Plan, rejects: Rejects, size: int) -> Iterator[Batch]:
    """The batches of `_batches`, made in a thread of their own while the last one is being written."""
    ready: Queue[Batch | BaseException | None] = Queue(_AHEAD)
    stop = threading.Event()

    def offer(item: Batch | BaseException | None) -> bool:
        while not stop.is_set():
            try:
                ready.put(item, timeout=_POLL_SECONDS)
            except Full:
                continue
            return True
        return False

    def produce() -> None:
        try:
            for batch in _batches(source, layout, rejects, size):
                if not offer(batch):
                    return
            offer(None)
        except BaseException as error:  # whatever it was, the importing thread raises it
            offer(error)

    thread = threading.Thread(target=produce, name="import-reader", daemon=True)
    thread.start()
    try:
        while True:
            try:
                item = ready.get(timeout=_POLL_SECONDS)  # wakes up now and then, so that Ctrl-C is heard
            except Empty:
                continue
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()


def _batches(source: Source, layout: Plan, rejects: Rejects, size: int) -> Iterator[Batch]:
    while (chunk := source.take(size)).records:
        batch = layout.read(chunk)
        for line, rejected in batch.rejected:
            rejects.add(line, rejected)
        yield batch
