"""Records of a CSV file as rows for the database: the header as a plan, then one fast pass per record."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

import orjson

from core.ids import uuid7
from preferences import validation
from preferences.errors import ValidationProblem
from preferences.importing.source import UNREADABLE, Record, SourceError

MAX_COLUMNS: Final = 200
#: Other spellings of the known columns, after lower-casing and with blanks and dashes as underscores.
ALIASES: Final = {"id": "external_id", "time_zone": "timezone", "e_mail": "email", "language": "locale"}
#: The known columns in the order of a row, after its key.
FIELDS: Final = ("name", "email", "phone", "locale", "timezone")

#: Characters of all attributes of a row that cannot reach the limit on their bytes, whatever they are.
_SURELY_SMALL: Final = validation.MAX_ATTRIBUTES_BYTES // 16


@dataclass(slots=True)
class Row:
    """One recipient of a batch. Empty cells and missing attributes leave what is there as it is."""

    external_id: str
    cells: list[str]
    attributes: dict[str, str]


class Rejected(Exception):
    """A record that is not imported, and why."""

    def __init__(self, external_id: str, column: str, code: str, message: str) -> None:
        self.external_id, self.column, self.code, self.message = external_id, column, code, message
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Plan:
    """What each column of this file is, and how a record of it is read."""

    width: int
    key: int
    known: tuple[tuple[int, int, str, Callable[[str], str]], ...]  # cell, place in FIELDS, column, check
    custom: tuple[tuple[int, str], ...]  # cell, attribute

    def read(self, record: Record) -> Row:
        """The row of a record. Raises Rejected with the first thing wrong with it."""
        cells = record.cells
        if record.problem:
            raise Rejected("", "", "unreadable", record.problem)
        if len(cells) != self.width:
            cells = self._trimmed(cells)
        try:
            external_id = validation.external_id(cells[self.key])
        except ValidationProblem as problem:
            raise Rejected("", "external_id", problem.code, problem.message) from None
        values = [""] * len(FIELDS)
        for cell, place, column, check in self.known:
            if text := cells[cell].strip():
                try:
                    values[place] = check(text)
                except ValidationProblem as problem:
                    raise Rejected(external_id, column, problem.code, problem.message) from None
        custom = {name: text for cell, name in self.custom if (text := cells[cell].strip())} if self.custom else {}
        written = "".join(custom.values())
        if len(written) > _SURELY_SMALL or not written.isprintable():
            try:
                validation.attributes(custom)
            except ValidationProblem as problem:
                raise Rejected(external_id, "attributes", problem.code, problem.message) from None
        return Row(external_id, values, custom)

    def _trimmed(self, cells: list[str]) -> list[str]:
        """The cells without blank ones beyond the header. Raises Rejected for any other number of cells."""
        if len(cells) > self.width and not any(cell.strip() for cell in cells[self.width :]):
            return cells[: self.width]
        raise Rejected("", "", "field_count", f"{self.width} fields expected, {len(cells)} found.")


def plan(header: Sequence[str], *, region: str | None = None) -> Plan:
    """Read a header. Raises SourceError when recipients cannot be made of such a file."""
    names = [name.strip() for name in header]
    while names and not names[-1]:  # a spreadsheet's empty columns on the right
        names.pop()
    if any(UNREADABLE in name for name in names):
        raise SourceError("The header holds NUL bytes. If the file is UTF-16, pass --encoding utf-16-le.")
    if len(names) > MAX_COLUMNS:
        raise SourceError(f"The header has {len(names)} columns; at most {MAX_COLUMNS} are read.")
    columns = _columns(names)
    checks: dict[str, Callable[[str], str]] = {
        "name": lambda text: validation.name(_one_line(text)),
        "email": validation.email,
        "phone": lambda text: validation.phone(text.lstrip("'"), region),  # spreadsheets write '+49 to keep the plus
        "locale": lru_cache(maxsize=1024)(validation.locale),
        "timezone": lru_cache(maxsize=1024)(validation.timezone),
    }
    place = {name: index for index, name in enumerate(FIELDS)}
    return Plan(
        width=len(columns),
        key=columns.index("external_id"),
        known=tuple((cell, place[name], name, checks[name]) for cell, name in enumerate(columns) if name in place),
        custom=tuple((cell, name) for cell, name in enumerate(columns) if name not in place and name != "external_id"),
    )


def _one_line(text: str) -> str:
    """A spreadsheet's cell of two lines is meant as one."""
    return " ".join(text.split())


def _columns(names: Sequence[str]) -> list[str]:
    """What each column is: a known field, or an attribute by its own name."""
    known = {"external_id", *FIELDS}
    plain = [name.lower().replace(" ", "_").replace("-", "_") for name in names]
    columns = []
    for number, (name, word) in enumerate(zip(names, plain, strict=True), start=1):
        alias = ALIASES.get(word, word)
        if alias in known and (word == alias or alias not in plain):
            columns.append(alias)
            continue
        try:
            columns.append(validation.attribute_key(_one_line(name)))
        except ValidationProblem as problem:
            raise SourceError(f"Column {number} of the header: {problem.message}") from None
    if "external_id" not in columns:
        hint = next((mark for mark in (";", "\t", "|", ",") if any(mark in name for name in names)), "")
        advice = f" Is the delimiter {hint!r}? Pass --delimiter." if hint and len(names) == 1 else ""
        raise SourceError(f"The header has no column external_id (or id).{advice}")
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise SourceError(f"The header names a column twice: {', '.join(twice)}.")
    return columns


@dataclass(slots=True)
class Batch:
    """Rows on their way to the database, one per external id; a later record wins cell by cell."""

    rows: dict[str, Row] = field(default_factory=dict)
    records: int = 0

    def add(self, row: Row) -> None:
        self.records += 1
        earlier = self.rows.setdefault(row.external_id, row)
        if earlier is not row:
            cells = [new or old for new, old in zip(row.cells, earlier.cells, strict=True)]
            self.rows[row.external_id] = Row(row.external_id, cells, {**earlier.attributes, **row.attributes})

    def copy_text(self) -> bytes:
        """The rows in COPY's text format, empty for null. No value holds a tab or a line break: checked, or JSON."""
        lines = [
            "\t".join((str(uuid7()), row.external_id, *row.cells, _json(row.attributes) if row.attributes else "\n"))
            for row in self.rows.values()
        ]
        return "".join(lines).replace("\\", "\\\\").encode()


def _json(attributes: dict[str, str]) -> str:
    return orjson.dumps(attributes, option=orjson.OPT_APPEND_NEWLINE).decode()
