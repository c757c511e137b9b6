"""The rows that were not imported, as a CSV file that a spreadsheet can open without running anything."""

import csv
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from preferences.importing.rows import Rejected

#: A cell that begins with one of these may be taken for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def safe_cell(text: str) -> str:
    """The text, behind an apostrophe where a spreadsheet could take it for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


class Rejects:
    """A context manager that writes `line, external_id, column, code, reason`. The file is made with the first row, and
    one that is left from an earlier import is removed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        self.path.unlink(missing_ok=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, line: int, rejected: Rejected) -> None:
        if self._file is None:
            self._file = self.path.open("w", encoding="utf-8", newline="")
            self._writer = csv.writer(self._file)
            self._writer.writerow(("line", "external_id", "column", "code", "reason"))
        self.count += 1
        cells = (rejected.external_id, rejected.column, rejected.code, rejected.message)
        self._writer.writerow((line, *map(safe_cell, cells)))
