"""A file read onto its list, batch by batch: a transaction each, in which everything that tells of it moves, too.

Who reads a file has a lease on it. A batch is written by the holder alone, holding the list's row and then the file's,
and counts the records that are done with: so whoever goes on after a kill passes over just those. What earlier batches
named already is in `ListUploadSeen`. Memory holds one batch; the bytes are on this machine's disk meanwhile.
"""

import hashlib
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.db.models import F, Q
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Now

from campaigns.segments.lists import ListService
from campaigns.segments.matching import NOBODY, Asked, Rejected, asked, known
from campaigns.segments.models import ListUpload, ListUploadPart, ListUploadReject, RecipientList, UploadState
from campaigns.segments.upload_files import Mapping, implausible, short, written
from preferences.importing.source import Chunk, Source, SourceError

log = structlog.get_logger(__name__)

#: Rows of a transaction: a tenth of a second or two, in which nobody else changes the list.
BATCH: Final = 5_000
#: Rejected rows that are kept to be downloaded; the rest are counted.
MAX_REJECTS: Final = 100_000
#: Times in a row that reading may stop before the next batch is done: then it is not the weather, but the file.
MAX_TRIES: Final = 5
#: Rows of `ListUploadSeen` deleted in one transaction.
FORGOTTEN: Final = 50_000

_SEE = """
    INSERT INTO campaigns_listuploadseen (upload_id, value) SELECT %s, unnest(%s::uuid[])
        ON CONFLICT DO NOTHING RETURNING value
"""
_FORGET = """
    DELETE FROM campaigns_listuploadseen WHERE ctid = ANY(ARRAY(
        SELECT s.ctid FROM campaigns_listuploadseen s WHERE NOT EXISTS (
            SELECT FROM campaigns_listupload u WHERE u.id = s.upload_id AND u.state = 'reading') LIMIT %s))
"""


class _LetGo(Exception):
    """The file is somebody else's by now, or gone with its list."""


@dataclass(slots=True)
class _Outcome:
    """What a batch adds to the file's figures."""

    known: int
    unknown: int
    duplicates: int
    invalid: int
    added: int


def read_waiting() -> Iterator[None]:
    """Read every file that waits for it or was left behind, oldest first; for `run_maintenance`. Several may run."""
    while (upload := _claimed()) is not None:
        if upload.tries > MAX_TRIES:
            Reading(upload).give_up()
        else:
            yield from Reading(upload).steps()
        while forget():
            yield
        yield


def forget() -> bool:
    """Delete some of what was seen in files that are not being read any more; whether there may be more."""
    with connection.cursor() as cursor:
        cursor.execute(_FORGET, [FORGOTTEN])
        return bool(cursor.rowcount == FORGOTTEN)


def lease() -> CombinedExpression:
    """The end of a lease that begins now."""
    return Now() + timedelta(seconds=settings.LEASE_SECONDS)


def _claimed() -> ListUpload | None:
    """The oldest file that nobody reads; it is ours now."""
    free = ListUpload.objects.filter(Q(lease_until=None) | Q(lease_until__lt=Now()), state=UploadState.READING)
    with transaction.atomic():
        upload = free.select_for_update(skip_locked=True).order_by("id").first()
        if upload is not None:
            upload.reader, upload.tries = uuid4(), upload.tries + 1
            ListUpload.objects.filter(pk=upload.pk).update(
                reader=upload.reader, tries=upload.tries, lease_until=lease()
            )
    return upload


class Reading:
    """One file on its way onto its list. `upload` is as its holder knows it, and follows what was committed."""

    def __init__(self, upload: ListUpload) -> None:
        self.upload = upload
        self.mapping = Mapping(**upload.mapping)

    def steps(self) -> Iterator[None]:
        """Read it to its end, or until it can't be read or is ours no longer. No transaction of ours is open at a
        yield. One who stops here lets go of it, so that another need not wait for the lease to run out."""
        try:
            yield from self._read()
        except SourceError as error:
            self._fail(str(error))
        except _LetGo:
            log.info("list_upload.let_go", upload=self.upload.pk, position=self.upload.position)
        except GeneratorExit:  # a stop, which is no fault of the file
            self._release(tries=0)
            raise
        except Exception:
            self._release()
            raise

    def give_up(self) -> None:
        """It stopped too often at the same place."""
        self._fail(
            f"Reading stopped {MAX_TRIES} times behind row {self.upload.position:,}. The rows before it are done with."
            " Split the file and upload the rest, or ask whoever runs this system to look into the log."
        )

    def _read(self) -> Iterator[None]:
        with tempfile.NamedTemporaryFile(suffix=".csv") as file:
            for _ in written(self.upload, file):
                self._keep()
                yield
            source = Source(Path(file.name), delimiter=self.mapping.delimiter)
        with source:  # open, though its name is gone: whatever ends us leaves no file behind
            yield from self._passed_over(source)
            while (chunk := source.take(BATCH)).records:
                self._batch(chunk, source.position)
                yield
        self._finish()

    def _passed_over(self, source: Source) -> Iterator[None]:
        """Go to where the last holder stopped."""
        left = self.upload.position
        while left and (chunk := source.take(min(left, BATCH))).records:
            left -= chunk.records
            self._keep()
            yield

    def _batch(self, chunk: Chunk, read_bytes: int) -> None:
        rows = list(zip(chunk.lines, chunk.rows, strict=True))
        if not self.upload.position:
            if why := implausible(chunk, self.mapping):
                raise SourceError(why)
            rows = rows[1:] if self.mapping.has_header else rows
        found = asked(rows, self.mapping.column, self.mapping.identifier)
        found.invalid += [(line, reason, []) for line, reason in chunk.unreadable]
        with transaction.atomic():
            self._hold()
            outcome = self._write(found)
            moved = {name: F(name) + n for name, n in asdict(outcome).items()}
            position = self.upload.position + chunk.records
            self._mine(position=position, read_bytes=read_bytes, tries=0, **moved)
        for name, n in asdict(outcome).items():
            setattr(self.upload, name, getattr(self.upload, name) + n)
        self.upload.position = position

    def _write(self, found: Asked) -> _Outcome:
        """Put on the list whom these rows mean, and keep those that mean nobody."""
        fresh = self._fresh(found.rows)
        people = known(self.mapping.identifier, fresh)
        nobody = NOBODY[self.mapping.identifier]
        unknown = [
            (line, nobody, cells)
            for value, (line, cells) in found.rows.items()
            if value in fresh and value not in people
        ]
        self._keep_rejected([*found.invalid, *unknown])
        added = ListService().add_recipients(self.upload.list_id, [id for ids in people.values() for id in ids])
        repeated = found.duplicates + len(found.rows) - len(fresh)
        return _Outcome(len(people), len(unknown), repeated, len(found.invalid), added)

    def _fresh(self, values: Collection[str]) -> set[str]:
        """Those of `values` that no earlier batch had."""
        hashes = {UUID(bytes=hashlib.blake2b(value.encode(), digest_size=16).digest()): value for value in values}
        with connection.cursor() as cursor:
            cursor.execute(_SEE, [self.upload.pk, list(hashes)])
            return {hashes[row[0]] for row in cursor.fetchall()}

    def _keep_rejected(self, rows: Sequence[Rejected]) -> None:
        """In the order of the file, as long as there is room."""
        room = max(0, MAX_REJECTS - self.upload.rejected)
        ListUploadReject.objects.bulk_create(
            ListUploadReject(upload=self.upload, line=line, reason=reason[:200], cells=short(cells))
            for line, reason, cells in sorted(rows, key=lambda row: row[0])[:room]
        )

    def _hold(self) -> None:
        """Hold the list and then the file until the transaction's end, as whoever deletes the list does."""
        try:
            ListService().held(self.upload.list_id)
        except RecipientList.DoesNotExist:
            raise _LetGo from None
        self._mine(lease_until=lease())

    def _keep(self) -> None:
        self._mine(lease_until=lease())

    def _mine(self, **values: object) -> None:
        """Write to the file's row; raises _LetGo when it is another's, or gone."""
        mine = ListUpload.objects.filter(pk=self.upload.pk, state=UploadState.READING, reader=self.upload.reader)
        if not mine.update(**values):
            raise _LetGo

    def _finish(self) -> None:
        with transaction.atomic():
            self._hold()
            self._mine(
                state=UploadState.DONE, finished_at=Now(), read_bytes=self.upload.size, reader=None, lease_until=None
            )
            ListUploadPart.objects.filter(upload=self.upload).delete()

    def _fail(self, problem: str) -> None:
        log.warning("list_upload.failed", upload=self.upload.pk, position=self.upload.position)
        with suppress(_LetGo):
            self._mine(
                state=UploadState.FAILED, finished_at=Now(), problem=problem[:300], reader=None, lease_until=None
            )

    def _release(self, **values: object) -> None:
        # Away with PostgreSQL itself, perhaps: then the lease runs out.
        with suppress(_LetGo, DatabaseError, InterfaceError):
            self._mine(lease_until=None, reader=None, **values)
