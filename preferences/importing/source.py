"""A CSV file as records with their physical lines, however untidy the file is, in bounded memory.

The file is read a block at a time, and what happens for each line happens in C: splitting, and the `csv` module.
"""

import codecs
import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import StringIO
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self, TextIO

#: Characters of one field, and of one physical line.
MAX_FIELD: Final = 16 * 1024
MAX_LINE: Final = 64 * 1024
#: Characters of a record over all its lines: more than all its columns can hold.
MAX_RECORD: Final = 4 * 1024 * 1024
#: A file beyond this is a mistake, or wants splitting.
MAX_FILE_BYTES: Final = 8 * 1024**3
#: What stands for a byte that means nothing in the file's encoding. No field may hold it, so its row is rejected.
UNREADABLE: Final = "\x00"

_BLOCK: Final = 256 * 1024
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class SourceError(Exception):
    """The file as a whole cannot be imported; the message says what to do."""


class Record(NamedTuple):
    """One record: the line it begins on, its cells, and why it could not be read (then there are no cells)."""

    line: int
    cells: list[str]
    problem: str = ""


@dataclass(slots=True)
class Chunk:
    """Records that follow each other: the line each begins on and its cells; beside them those that could not be read,
    with the reason. Blank ones are passed over."""

    lines: list[int] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    unreadable: list[tuple[int, str]] = field(default_factory=list)

    @property
    def records(self) -> int:
        return len(self.rows) + len(self.unreadable)

    @property
    def last_line(self) -> int:
        return max(self.lines[-1] if self.lines else 0, self.unreadable[-1][0] if self.unreadable else 0)


class _Repair:
    """Decoding errors of a file that calls itself UTF-8: the bytes are read as Windows-1252, as Excel wrote them."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, error: UnicodeError) -> tuple[str, int]:
        if not isinstance(error, UnicodeDecodeError):
            raise error
        wrong = error.object[error.start : error.end]
        self.count += len(wrong)
        return "".join(bytes([byte]).decode("cp1252", "ignore") or UNREADABLE for byte in wrong), error.end


def _unreadable(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return UNREADABLE, error.end


_repair = _Repair()
codecs.register_error("carillon-cp1252", _repair)
codecs.register_error("carillon-unreadable", _unreadable)


class Source:
    """An open CSV file; a context manager. Iterating gives its records one by one, `take` many at a time."""

    def __init__(self, path: Path, *, delimiter: str = ",", encoding: str = "auto") -> None:
        try:
            self.size = path.stat().st_size
            if self.size > MAX_FILE_BYTES:
                raise SourceError(f"The file is larger than {MAX_FILE_BYTES // 1024**3} GB: split it.")
            self._file = _open(path, encoding)
        except OSError as error:
            raise SourceError(f"{path}: {error.strerror}.") from None
        self._delimiter = delimiter
        self._repaired_before = _repair.count
        self._blocks = _Blocks(self._file)
        csv.field_size_limit(MAX_FIELD)
        self._begin([], before=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    @property
    def position(self) -> int:
        """Bytes read so far, for a progress bar."""
        return 0 if self._file.closed else self._file.buffer.tell()

    @property
    def repaired(self) -> int:
        """Bytes so far that were not UTF-8 and were read as Windows-1252."""
        return _repair.count - self._repaired_before

    def __iter__(self) -> Iterator[Record]:
        while (chunk := self.take(1)).records:
            yield from (Record(line, cells) for line, cells in zip(chunk.lines, chunk.rows, strict=True))
            yield from (Record(line, [], problem) for line, problem in chunk.unreadable)

    def take(self, limit: int) -> Chunk:
        """The next records, at most so many; none at the end. One that cannot be read costs its first line only:
        reading goes on with the line after it, so a quote that is never closed does not take its neighbours along."""
        chunk = Chunk()
        while (room := limit - chunk.records) > 0 and (self._next < len(self._lines) or self._more()):
            try:
                self._read(chunk, room)
            except (csv.Error, _LineTooLong) as error:
                if self._is_cut_off(error) and self._more():
                    continue
                chunk.unreadable.append((self._before + self._next + 1, _reason(error)))
                self._begin(self._lines[self._next + 1 :], before=self._before + self._next + 1)
        return chunk

    def _begin(self, lines: list[str], *, before: int) -> None:
        """Read these lines, which so many others come before in the file. A record begins with the first."""
        self._lines, self._before, self._next = lines, before, 0
        long = max(map(len, lines), default=0) >= MAX_LINE
        self._reader = csv.reader(_guarded(lines) if long else lines, delimiter=self._delimiter, strict=True)

    def _read(self, chunk: Chunk, room: int) -> None:
        """Records of the lines at hand. `_next` is the place of the line on which the next one begins."""
        reader, lines, rows, first = self._reader, chunk.lines, chunk.rows, self._before + 1
        for cells in islice(reader, room):
            if any(cells):
                lines.append(first + self._next)
                rows.append(cells)
            self._next = reader.line_num

    def _is_cut_off(self, error: Exception) -> bool:
        """Whether the record may go on beyond the lines at hand."""
        return isinstance(error, csv.Error) and self._reader.line_num == len(self._lines)

    def _more(self) -> bool:
        """Put further lines behind those that no record was made of. Whether there were any, and room for them."""
        rest = self._lines[self._next :]
        if sum(map(len, rest)) > MAX_RECORD or not (lines := self._blocks.read()):
            return False
        self._begin(rest + lines, before=self._before + self._next)
        return True


class _LineTooLong(Exception):
    """A physical line is longer than MAX_LINE."""


def _guarded(lines: list[str]) -> Iterator[str]:
    for line in lines:
        if len(line) >= MAX_LINE:
            raise _LineTooLong
        yield line


class _Blocks:
    """The physical lines of a file with their ends, some thousands at a time. Of a line beyond MAX_LINE so much."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._tail = ""
        self._ended = False

    def read(self) -> list[str]:
        """The next lines; none at the end of the file."""
        lines: list[str] = []
        while not lines and not self._ended:
            text = self._file.read(_BLOCK)
            self._ended = not text
            lines = StringIO(self._tail + text, newline="").readlines()
            self._tail = ""
            if lines and not self._ended and lines[-1][-1] != "\n":  # a line feed may follow a carriage return
                last = lines.pop()
                self._tail = last if len(last) <= MAX_LINE else last[: MAX_LINE - 1] + last[-1]
        return lines


def _open(path: Path, encoding: str) -> TextIO:
    errors = "carillon-unreadable"
    if encoding == "auto":
        with path.open("rb") as file:
            start = file.read(4)
        encoding = next((name for bom, name in _BOMS if start.startswith(bom)), "utf-8")
        if encoding.startswith("utf-8"):
            errors = "carillon-cp1252"
    try:
        return path.open(encoding=encoding, errors=errors, newline="", buffering=1024 * 1024)
    except LookupError:
        raise SourceError(f"There is no encoding {encoding!r}. Try auto, utf-8, utf-16 or cp1252.") from None


def _reason(error: Exception) -> str:
    """Why a record could not be read, in our words."""
    if isinstance(error, _LineTooLong):
        return f"The line is longer than {MAX_LINE} characters."
    if "field limit" in str(error):
        return f"A field is longer than {MAX_FIELD} characters; a quote may not be closed."
    return "A quoted field does not end where it should; a quote may be missing or not doubled."
