"""A CSV file onto a list: received in pieces, looked at, read in batches, and an account of what it came to.

A file is kept in the database until its columns have been chosen, because the next request may reach another web
server. Reading it is one transaction: a process that dies in the middle leaves the list as it was, and the file.
Memory holds a batch of rows; which ids came before is kept in a temporary table.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser
from django.core.files.uploadedfile import UploadedFile
from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils import timezone

from campaigns.errors import UploadRefused
from campaigns.segments.lists import ListService, people
from campaigns.segments.models import ListUpload, ListUploadPart, ListUploadReject, RecipientList, UploadState
from preferences import validation
from preferences.errors import ValidationProblem
from preferences.importing.source import Source, SourceError

#: Bytes of a file: two million ids with a few columns beside them.
MAX_BYTES: Final = 200 * 1024 * 1024
PART_BYTES: Final = 1024 * 1024
#: Rows that are read at a time.
BATCH: Final = 5_000
#: Rejected rows that are kept to be downloaded; the rest are counted.
MAX_REJECTS: Final = 100_000
#: Characters of a cell, and cells of a row, that a rejected row keeps.
MAX_CELL, MAX_CELLS = 500, 50
#: First rows that the choice of columns shows.
SHOWN: Final = 10
DELIMITERS: Final = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
#: After so long a file whose columns nobody chose is dropped, and so are rejected rows.
KEEP_FILES: Final = timedelta(days=1)
KEEP_REJECTS: Final = timedelta(days=30)

#: What the chosen column may hold.
IDENTIFIERS: Final = {"external_id": "External id", "email": "Email address", "phone": "Phone number"}
_CHECKS: Final[dict[str, Callable[[object], str]]] = {
    "external_id": validation.external_id,
    "email": lambda value: validation.email(value).lower(),
    "phone": validation.phone,
}


@dataclass(frozen=True, slots=True)
class Mapping:
    """How a file is read: which column (from 0) says who, by what, and whether the first row is a heading."""

    column: int
    identifier: str = "external_id"
    has_header: bool = True
    delimiter: str = ","


@dataclass(frozen=True, slots=True)
class Look:
    """The first rows of a file, and what its columns seem to be."""

    rows: Sequence[Sequence[str]]
    guess: Mapping

    @property
    def width(self) -> int:
        return max((len(row) for row in self.rows), default=0)


class UploadService:
    """Receives files and reads them onto their list. Raises UploadRefused with a sentence."""

    def receive(self, list: RecipientList, file: UploadedFile, *, by: AbstractBaseUser | None) -> ListUpload:
        """Keep a file. Nothing is read but its bytes, a piece at a time."""
        size = file.size or 0
        if not size:
            raise UploadRefused("The file is empty.")
        if size > MAX_BYTES:
            raise UploadRefused(f"The file is larger than {MAX_BYTES // 1024**2} MB: split it.")
        name = Path(file.name or "file.csv").name[-200:].replace("\x00", "")
        with transaction.atomic():
            made = ListUpload.objects.create(list=list, file_name=name, size=size, created_by_id=by.pk if by else None)
            for number, piece in enumerate(file.chunks(PART_BYTES)):
                ListUploadPart.objects.create(upload=made, number=number, content=piece)
        return made

    def look(self, upload: ListUpload, delimiter: str = "") -> Look:
        """The first rows. Without a delimiter the one that makes the most columns of the first row is taken."""
        with _file(upload, pieces=2) as path:
            if not delimiter:
                widths = {mark: max(map(len, _first(path, mark, 2)), default=0) for mark in DELIMITERS}
                delimiter = max(widths, key=lambda mark: widths[mark])
            rows = _first(path, delimiter, SHOWN + 1)
        if not rows:
            raise UploadRefused("There is no row in this file.")
        return Look(rows, _guess(rows, delimiter))

    def load(self, upload_id: int, mapping: Mapping) -> ListUpload:
        """Put everyone whom the file names on its list. Once: a file that was read is read no second time."""
        if mapping.identifier not in IDENTIFIERS or mapping.delimiter not in DELIMITERS or mapping.column < 0:
            raise UploadRefused("Choose the column that says who is meant, and what it holds.")
        with transaction.atomic():
            upload = ListUpload.objects.select_for_update().get(pk=upload_id)
            if upload.state == UploadState.DONE:
                raise UploadRefused("This file has been read already.")
            ListService().held(upload.list_id)
            with _file(upload) as path:
                reading = _Reading(upload, mapping)
                try:
                    reading.read(path)
                except SourceError as error:
                    raise UploadRefused(str(error)) from None
            reading.finish()
            ListUploadPart.objects.filter(upload=upload).delete()
        upload.refresh_from_db()
        return upload


class _Reading:
    """One file on its way onto its list."""

    def __init__(self, upload: ListUpload, mapping: Mapping) -> None:
        self.upload, self.mapping = upload, mapping
        self.check = _CHECKS[mapping.identifier]
        self.kept = 0
        with connection.cursor() as cursor:
            cursor.execute("CREATE TEMP TABLE IF NOT EXISTS list_upload_seen (value text PRIMARY KEY) ON COMMIT DROP")
            cursor.execute("TRUNCATE list_upload_seen")

    def read(self, path: Path) -> None:
        skip = self.mapping.has_header
        with Source(path, delimiter=self.mapping.delimiter) as source:
            while (chunk := source.take(BATCH)).records:
                rows = list(zip(chunk.lines, chunk.rows, strict=True))
                self._batch(rows[1:] if skip else rows)
                self._reject([(line, reason, []) for line, reason in chunk.unreadable], "invalid")
                skip = False

    def _batch(self, rows: Sequence[tuple[int, list[str]]]) -> None:
        asked: dict[str, tuple[int, list[str]]] = {}
        invalid: list[tuple[int, str, list[str]]] = []
        for line, cells in rows:
            value, fault = self._value(cells)
            if fault:
                invalid.append((line, fault, cells))
            elif value in asked:
                self.upload.duplicates += 1
            else:
                asked[value] = (line, cells)
        fresh = self._fresh(list(asked))
        self.upload.duplicates += len(asked) - len(fresh)
        known = _known(self.mapping.identifier, fresh)
        unknown = [(line, _NOBODY[self.mapping.identifier], cells) for value, (line, cells) in asked.items()
                   if value in fresh and value not in known]  # fmt: skip
        self._reject(invalid, "invalid")
        self._reject(unknown, "unknown")
        self.upload.known += len(known)
        self.upload.added += ListService().add_recipients(
            self.upload.list_id, [id for ids in known.values() for id in ids]
        )

    def _value(self, cells: Sequence[str]) -> tuple[str, str]:
        """Who is meant, or why that can't be told."""
        if self.mapping.column >= len(cells) or not (text := cells[self.mapping.column].strip()):
            return "", "There is nothing in the column that says who is meant."
        try:
            # Spreadsheets write '+49 to keep the plus.
            return self.check(text.lstrip("'") if self.mapping.identifier == "phone" else text), ""
        except ValidationProblem as problem:
            return "", problem.message

    def _fresh(self, values: list[str]) -> set[str]:
        """Those of `values` that no earlier batch had."""
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO list_upload_seen SELECT unnest(%s::text[]) ON CONFLICT DO NOTHING RETURNING value",
                [values],
            )
            return {row[0] for row in cursor.fetchall()}

    def _reject(self, rows: Sequence[tuple[int, str, list[str]]], counter: str) -> None:
        setattr(self.upload, counter, getattr(self.upload, counter) + len(rows))
        room = MAX_REJECTS - self.kept
        ListUploadReject.objects.bulk_create(
            ListUploadReject(upload=self.upload, line=line, reason=reason[:200], cells=_short(cells))
            for line, reason, cells in rows[:room]
        )
        self.kept += min(len(rows), room)

    def finish(self) -> None:
        mapping = {name: getattr(self.mapping, name) for name in ("column", "identifier", "has_header", "delimiter")}
        upload = self.upload
        ListUpload.objects.filter(pk=upload.pk).update(
            state=UploadState.DONE, mapping=mapping, finished_at=Now(), known=upload.known, unknown=upload.unknown,
            duplicates=upload.duplicates, invalid=upload.invalid, added=upload.added,
        )  # fmt: skip


_NOBODY: Final = {
    "external_id": "Nobody has this id.",
    "email": "Nobody has this email address.",
    "phone": "Nobody has this phone number.",
}


def _known(identifier: str, values: set[str]) -> dict[str, list[UUID]]:
    """The people behind these values. Several may share an address: then it means all of them."""
    if identifier == "external_id":
        return {value: [id] for value, id in people(list(values)).items()}
    column = {"email": "upper(email)", "phone": "phone"}[identifier]
    found: dict[str, list[UUID]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT v, r.id FROM unnest(%s::text[]) v JOIN preferences_recipient r ON {column} ="
            f" {'upper(v)' if identifier == 'email' else 'v'}",
            [list(values)],
        )
        for value, id in cursor.fetchall():
            found.setdefault(value, []).append(id)
    return found


def _short(cells: Sequence[str]) -> list[str]:
    return [cell[:MAX_CELL].replace("\x00", "\ufffd") for cell in cells[:MAX_CELLS]]


@contextmanager
def _file(upload: ListUpload, pieces: int | None = None) -> Iterator[Path]:
    """The file on this machine's disk, or its first pieces; removed afterwards."""
    parts: Any = ListUploadPart.objects.filter(upload=upload).order_by("number").values_list("content", flat=True)
    with tempfile.NamedTemporaryFile(suffix=".csv") as file:
        for content in (parts[:pieces] if pieces else parts).iterator(chunk_size=4):
            file.write(content)
        file.flush()
        yield Path(file.name)


def _first(path: Path, delimiter: str, limit: int) -> list[list[str]]:
    try:
        with Source(path, delimiter=delimiter) as source:
            return [_short(row) for row in source.take(limit).rows]
    except SourceError as error:
        raise UploadRefused(str(error)) from None


def _guess(rows: Sequence[Sequence[str]], delimiter: str) -> Mapping:
    """The column that is called like an id, else the first whose cells are addresses, else the first."""
    names = [cell.strip().lower().replace(" ", "_").replace("-", "_") for cell in rows[0]]
    called = {"external_id": "external_id", "id": "external_id", "user_id": "external_id", "customer_id": "external_id"}
    called |= {"email": "email", "e_mail": "email", "email_address": "email", "phone": "phone", "phone_number": "phone"}
    for position, name in sorted(
        enumerate(names), key=lambda one: list(called).index(one[1]) if one[1] in called else 99
    ):
        if name in called:
            return Mapping(position, called[name], has_header=True, delimiter=delimiter)
    for position, cell in enumerate(rows[0]):
        if "@" in cell:
            return Mapping(position, "email", has_header=False, delimiter=delimiter)
    return Mapping(0, has_header=False, delimiter=delimiter)


def purge() -> int:
    """Drop files that nobody went on with, and rejected rows that were there for long enough; how many rows that were.
    Several may run."""
    now, dropped = timezone.now(), 0
    abandoned = ListUpload.objects.filter(state=UploadState.RECEIVED, created_at__lt=now - KEEP_FILES)
    for id in abandoned.values_list("pk", flat=True)[:100]:
        dropped += ListUpload.objects.filter(pk=id, state=UploadState.RECEIVED).delete()[0]
    return dropped + ListUploadReject.objects.filter(upload__finished_at__lt=now - KEEP_REJECTS).delete()[0]
