"""Tables of a command: drawn and wrapped on a terminal; elsewhere plain lines of aligned columns, for grep and cut."""

from collections.abc import Sequence

from django.core.management.base import OutputWrapper
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text


class Tables:
    """Writes tables to a command's output. Cells are shown as they are: no markup, no control characters."""

    def __init__(self, out: OutputWrapper) -> None:
        self.out = out

    def write(self, head: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: int = 0) -> None:
        """`numbers`: how many of the first columns are aligned to the right."""
        clean = [[printable(cell) for cell in row] for row in rows]
        if self.out.isatty():
            self._draw(head, clean, numbers)
        else:
            self._lines([list(head), *clean], numbers)

    def _draw(self, head: Sequence[str], rows: Sequence[Sequence[str]], numbers: int) -> None:
        table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
        for column, title in enumerate(head):
            table.add_column(title, justify="right" if column < numbers else "left", overflow="fold")
        for row in rows:
            table.add_row(*map(Text, row))
        console = Console(highlight=False, force_terminal=True)
        with console.capture() as drawn:
            console.print(table)
        self.out.write(drawn.get(), ending="")

    def _lines(self, rows: Sequence[Sequence[str]], numbers: int) -> None:
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        for row in rows:
            cells = [
                cell.rjust(width) if column < numbers else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            self.out.write("  ".join(cells).rstrip())


def printable(text: str) -> str:
    """On one line, and without what a terminal would take for a command: a vendor's words end up here."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
