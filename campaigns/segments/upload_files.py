"""A CSV file for a list before anybody is put on it: how it is to be read, its first rows, and its bytes on disk."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Final

from campaigns.errors import UploadRefused
from campaigns.segments.matching import IDENTIFIERS
from campaigns.segments.models import ListUpload, ListUploadPart
from preferences.importing.source import UNREADABLE, Chunk, Source, SourceError

#: Characters of a cell, and cells of a row, that are shown or kept.
MAX_CELL, MAX_CELLS = 500, 50
#: First rows that the choice of columns shows.
SHOWN: Final = 10
DELIMITERS: Final = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
#: Letters by which a spreadsheet names its columns; past the alphabet they are numbers.
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class Mapping:
    """How a file is read: which column (from 0) says who, by what, and whether the first row is a heading."""

    column: int
    identifier: str = "external_id"
    has_header: bool = True
    delimiter: str = ","

    def is_possible(self) -> bool:
        return self.identifier in IDENTIFIERS and self.delimiter in DELIMITERS and self.column >= 0

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Look:
    """The first rows of a file, and what its columns seem to be."""

    rows: Sequence[Sequence[str]]
    guess: Mapping

    @property
    def width(self) -> int:
        return max((len(row) for row in self.rows), default=0)


def look(upload: ListUpload, delimiter: str = "") -> Look:
    """The first rows. Without a delimiter the one that makes the most columns of the first row is taken."""
    with _beginning(upload, pieces=2) as path:
        if not delimiter:
            widths = {mark: max(map(len, _first(path, mark, 2)), default=0) for mark in DELIMITERS}
            delimiter = max(widths, key=lambda mark: widths[mark])
        rows = _first(path, delimiter, SHOWN + 1)
    if not rows:
        raise UploadRefused("There is no row in this file.")
    return Look(rows, _guess(rows, delimiter))


def written(upload: ListUpload, file: IO[bytes]) -> Iterator[None]:
    """Write the whole file, a piece a step. Raises SourceError when some of it is gone."""
    parts = ListUploadPart.objects.filter(upload=upload).order_by("number").values_list("number", "content")
    size, last = 0, -1
    while found := parts.filter(number__gt=last).first():
        last, content = found
        size += file.write(content)
        yield
    file.flush()
    if size != upload.size:
        raise SourceError("The file is not complete any more. Upload it again.")


def implausible(chunk: Chunk, mapping: Mapping) -> str:
    """Why the first rows of a file can't be what was meant, in a sentence; "" if they can."""
    odd = sum(any(UNREADABLE in cell for cell in row) for row in chunk.rows)
    if odd * 2 > chunk.records:
        return "This is no text, or in an encoding that can't be told. In Excel: Save as, CSV UTF-8."
    if chunk.rows and mapping.column >= max(map(len, chunk.rows)):
        return f"There is no column {letter(mapping.column)} in this file. Choose another one, or another separator."
    return ""


def letter(column: int) -> str:
    """What a spreadsheet calls this column."""
    return _LETTERS[column] if column < len(_LETTERS) else str(column + 1)


def short(cells: Sequence[str]) -> list[str]:
    """A row as it is shown and kept."""
    return [cell[:MAX_CELL].replace("\x00", "\ufffd") for cell in cells[:MAX_CELLS]]


@contextmanager
def _beginning(upload: ListUpload, pieces: int) -> Iterator[Path]:
    """The file's first pieces on this machine's disk; removed afterwards."""
    parts: Any = ListUploadPart.objects.filter(upload=upload).order_by("number").values_list("content", flat=True)
    with tempfile.NamedTemporaryFile(suffix=".csv") as file:
        for content in parts[:pieces]:
            file.write(content)
        file.flush()
        yield Path(file.name)


def _first(path: Path, delimiter: str, limit: int) -> list[list[str]]:
    try:
        with Source(path, delimiter=delimiter) as source:
            return [short(row) for row in source.take(limit).rows]
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
