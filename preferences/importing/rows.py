"""Records of a CSV file as rows for the database: the header as a plan, then one pass per column of a batch."""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from itertools import compress
from operator import itemgetter
from typing import Any, Final

import orjson

from core.ids import keys
from preferences import validation
from preferences.errors import ValidationProblem
from preferences.importing.columns import EXTERNAL_ID, Column, attribute_column, known_columns, one_line
from preferences.importing.source import UNREADABLE, Chunk, SourceError

MAX_COLUMNS: Final = 200
#: Other spellings of the known columns, after lower-casing and with blanks and dashes as underscores.
ALIASES: Final = {"id": "external_id", "time_zone": "timezone", "e_mail": "email", "language": "locale"}
#: The known columns in the order of a row, after its key.
FIELDS: Final = ("name", "email", "phone", "locale", "timezone", "quiet_hours", "email_verified", "phone_verified")


class Rejected(Exception):
    """A record that is not imported, and why."""

    def __init__(self, external_id: str, column: str, code: str, message: str) -> None:
        self.external_id, self.column, self.code, self.message = external_id, column, code, message
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Batch:
    """Records on their way to the database: `rows` of them in COPY's text format, one per external id, of `records`
    that were taken. Beside them those that were not, by line, and the last line of all."""

    copy: bytes
    rows: int
    records: int
    rejected: list[tuple[int, Rejected]]
    line: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What each column of this file is, and how records of it are read."""

    width: int
    key: int
    known: tuple[tuple[int, int, str, Column], ...]  # cell, place in FIELDS, name, how it is checked
    custom: tuple[int, ...]  # cells
    attributes: Column  # checks those cells together, and makes JSON of them

    def read(self, chunk: Chunk) -> Batch:
        """The rows of these records. Empty cells and missing attributes leave what is there as it is."""
        reading = _Reading(chunk, self.width)
        cells = [list(map(str.strip, column)) for column in zip(*reading.rows, strict=True)] or [[]] * self.width
        blank = [""] * len(reading.rows)
        external_ids = reading.check_ids(cells[self.key])
        values = [blank] * len(FIELDS)
        for cell, place, name, column in self.known:
            values[place] = reading.check(name, column, cells[cell])
        attributes = blank
        if self.custom:
            together = list(zip(*(cells[cell] for cell in self.custom), strict=True))
            attributes = reading.check("attributes", self.attributes, together)
        taken = reading.without_rejected([external_ids, *values, attributes])
        merged = _merged(taken)
        return Batch(_copy_text(merged), len(merged[0]), len(taken[0]), reading.rejected(), chunk.last_line)


class _Reading:
    """The records of a chunk that have a cell for each column, and what is wrong with which."""

    def __init__(self, chunk: Chunk, width: int) -> None:
        self.lines, self.rows = chunk.lines, chunk.rows
        self.ids: list[str] = []
        self._unfit = [(line, Rejected("", "", "unreadable", problem)) for line, problem in chunk.unreadable]
        self._bad: dict[int, Rejected] = {}
        self._fit(width)

    def check_ids(self, cells: Sequence[str]) -> list[str]:
        """The external ids, by which rejected records are named from then on."""
        self.ids = [""] * len(cells)
        self.ids = self.check("external_id", EXTERNAL_ID, cells)
        return self.ids

    def check(self, name: str, column: Column, cells: Sequence[Any]) -> list[str]:
        """The values of a column. Where there is none the record is rejected, unless it is already."""
        values: list[Any] = column.quick(cells)
        for index in [index for index, value in enumerate(values) if value is None]:
            values[index] = ""
            if index not in self._bad:
                try:
                    values[index] = column.check(cells[index])
                except ValidationProblem as problem:
                    self._bad[index] = Rejected(self.ids[index], name, problem.code, problem.message)
        return values

    def without_rejected(self, columns: list[list[str]]) -> list[list[str]]:
        """The columns without the records that were rejected."""
        return _kept(columns, self._bad) if self._bad else columns

    def rejected(self) -> list[tuple[int, Rejected]]:
        """By line, each with the first thing wrong with it."""
        bad = [(self.lines[index], rejected) for index, rejected in self._bad.items()]
        return sorted(self._unfit + bad, key=itemgetter(0))

    def _fit(self, width: int) -> None:
        """Leave out the records with another number of cells; blank ones beyond the header do not count."""
        wrong = [index for index, cells in enumerate(self.rows) if len(cells) != width]
        for index in reversed(wrong):
            cells = self.rows[index]
            if len(cells) > width and not any(cell.strip() for cell in cells[width:]):
                del cells[width:]
                continue
            message = f"{width} fields expected, {len(cells)} found."
            self._unfit.append((self.lines.pop(index), Rejected("", "", "field_count", message)))
            del self.rows[index]


def _kept(columns: list[list[str]], gone: Container[int]) -> list[list[str]]:
    keep = [index not in gone for index in range(len(columns[0]))]
    return [list(compress(column, keep)) for column in columns]


def _merged(columns: list[list[str]]) -> list[list[str]]:
    """One row per external id, which is the first column; a later one wins cell by cell."""
    external_ids, *values, attributes = columns
    if len(set(external_ids)) == len(external_ids):
        return columns
    first: dict[str, int] = {}
    gone = set()
    for index, external_id in enumerate(external_ids):
        at = first.setdefault(external_id, index)
        if at != index:
            gone.add(index)
            for column in values:
                column[at] = column[index] or column[at]
            attributes[at] = _both(attributes[at], attributes[index])
    return _kept(columns, gone)


def _both(earlier: str, later: str) -> str:
    """The attributes of two rows of one person."""
    if not (earlier and later):
        return earlier or later
    return orjson.dumps(orjson.loads(earlier) | orjson.loads(later)).decode()


def _copy_text(columns: list[list[str]]) -> bytes:
    """The rows behind new ids in COPY's text format, empty for null. No value holds a tab or a line break: checked, or
    JSON."""
    new = [key.hex() for key in keys(len(columns[0]))]
    lines = map("\t".join, zip(new, *columns, strict=True))
    return "".join([f"{line}\n" for line in lines]).replace("\\", "\\\\").encode()


def plan(header: Sequence[str], *, region: str | None = None) -> Plan:
    """Read a header. Raises SourceError when recipients cannot be made of such a file."""
    names = [name.strip() for name in header]
    while names and not names[-1]:  # a spreadsheet's empty columns on the right
        names.pop()
    if any(UNREADABLE in name for name in names):
        raise SourceError("The header holds NUL bytes. If the file is UTF-16, pass --encoding utf-16-le.")
    if len(names) > MAX_COLUMNS:
        raise SourceError(f"The header has {len(names)} columns; at most {MAX_COLUMNS} are read.")
    fields = _columns(names)
    checks = known_columns(region)
    custom = [cell for cell, name in enumerate(fields) if name != "external_id" and name not in FIELDS]
    return Plan(
        width=len(fields),
        key=fields.index("external_id"),
        known=tuple(
            (cell, FIELDS.index(name), name, checks[name]) for cell, name in enumerate(fields) if name in checks
        ),
        custom=tuple(custom),
        attributes=attribute_column([fields[cell] for cell in custom]),
    )


def _columns(names: Sequence[str]) -> list[str]:
    """What each column is: a known field, or an attribute by its own name."""
    known = {"external_id", *FIELDS}
    plain = [name.lower().replace(" ", "_").replace("-", "_") for name in names]
    fields = []
    for number, (name, word) in enumerate(zip(names, plain, strict=True), start=1):
        alias = ALIASES.get(word, word)
        if alias in known and (word == alias or alias not in plain):
            fields.append(alias)
            continue
        try:
            fields.append(validation.attribute_key(one_line(name)))
        except ValidationProblem as problem:
            raise SourceError(f"Column {number} of the header: {problem.message}") from None
    if "external_id" not in fields:
        hint = next((mark for mark in (";", "\t", "|", ",") if any(mark in name for name in names)), "")
        advice = f" Is the delimiter {hint!r}? Pass --delimiter." if hint and len(names) == 1 else ""
        raise SourceError(f"The header has no column external_id (or id).{advice}")
    twice = sorted({name for name in fields if fields.count(name) > 1})
    if twice:
        raise SourceError(f"The header names a column twice: {', '.join(twice)}.")
    return fields
