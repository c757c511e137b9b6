"""The rows of a file to the people they mean."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from django.db import connection

from campaigns.segments.lists import people
from preferences import validation
from preferences.errors import ValidationProblem

#: What the chosen column may hold.
IDENTIFIERS: Final = {"external_id": "External id", "email": "Email address", "phone": "Phone number"}
_CHECKS: Final[dict[str, Callable[[object], str]]] = {
    "external_id": validation.external_id,
    "email": lambda value: validation.email(value).lower(),
    "phone": validation.phone,
}
NOBODY: Final = {
    "external_id": "Nobody has this id.",
    "email": "Nobody has this email address.",
    "phone": "Nobody has this phone number.",
}

#: A line of the file, and its cells.
Row = tuple[int, list[str]]
#: A line, why nobody was added for it, and its cells.
Rejected = tuple[int, str, list[str]]


@dataclass(slots=True)
class Asked:
    """Rows by whom they mean: each value once, with the first row that has it."""

    rows: dict[str, Row] = field(default_factory=dict)
    invalid: list[Rejected] = field(default_factory=list)
    duplicates: int = 0


def asked(rows: Iterable[Row], column: int, identifier: str) -> Asked:
    """What these rows say in `column`."""
    found = Asked()
    for line, cells in rows:
        value, fault = _value(cells, column, identifier)
        if fault:
            found.invalid.append((line, fault, cells))
        elif value in found.rows:
            found.duplicates += 1
        else:
            found.rows[value] = (line, cells)
    return found


def known(identifier: str, values: Collection[str]) -> dict[str, list[UUID]]:
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


def _value(cells: Sequence[str], column: int, identifier: str) -> tuple[str, str]:
    """Who is meant, or why that can't be told."""
    if column >= len(cells) or not (text := cells[column].strip()):
        return "", "There is nothing in the column that says who is meant."
    try:
        # Spreadsheets write '+49 to keep the plus.
        return _CHECKS[identifier](text.lstrip("'") if identifier == "phone" else text), ""
    except ValidationProblem as problem:
        return "", problem.message
