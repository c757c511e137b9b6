"""A CSV file as records with their physical lines, however untidy the file is, in bounded memory."""

import codecs
import csv
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self, TextIO

#: Characters of one field, and of one physical line.
MAX_FIELD: Final = 16 * 1024
MAX_LINE: Final = 64 * 1024
#: A file beyond this is a mistake, or wants splitting.
MAX_FILE_BYTES: Final = 8 * 1024**3
#: What stands for a byte that means nothing in the file's encoding. No field may hold it, so its row is rejected.
UNREADABLE: Final = "\x00"

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
    """An open CSV file; a context manager. Iterating gives its records; blank lines are passed over."""

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
        """The records. One that cannot be read costs its first line only: reading goes on with the line after it, so a
        quote that is never closed does not take its neighbours along."""
        lines = _Lines(self._file)
        csv.field_size_limit(MAX_FIELD)
        reader = csv.reader(lines, delimiter=self._delimiter, strict=True)
        while True:
            first = lines.begin()
            try:
                cells = next(reader)
            except StopIteration:
                return
            except (csv.Error, _LineTooLong) as error:
                lines.push_back()
                yield Record(first, [], _reason(error))
                continue
            if any(cells):
                yield Record(first, cells)


class _LineTooLong(Exception):
    """A physical line is longer than MAX_LINE."""


class _Lines:
    """Physical lines with their numbers, able to take back those of the current record."""

    def __init__(self, file: TextIO) -> None:
        self._readline = file.readline
        self._again: deque[str] = deque()
        self._taken: list[str] = []
        self._number = 0

    def begin(self) -> int:
        """A record begins: the number of its first line."""
        self._taken.clear()
        return self._number + 1

    def push_back(self) -> None:
        """Hand out the lines of this record again, without its first."""
        self._again.extendleft(reversed(self._taken[1:]))
        self._number -= max(len(self._taken) - 1, 0)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else self._readline(MAX_LINE)
        if not line:
            raise StopIteration
        self._number += 1
        self._taken.append(line)
        if len(line) == MAX_LINE:
            self._skip_rest(line)
            raise _LineTooLong
        return line

    def _skip_rest(self, line: str) -> None:
        if self._again:
            return
        while len(line) == MAX_LINE and line[-1] not in "\r\n":
            line = self._readline(MAX_LINE)


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
