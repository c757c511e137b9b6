"""How many people that is: counted, unless it takes too long; then a stated estimate."""

from dataclasses import dataclass
from typing import Any

from django.db import connection

from core.admin_lists import estimated_rows
from core.statements import StatementTooSlow, bounded
from preferences.models import Recipient

#: Milliseconds for an exact count: somebody waits for it.
COUNT_MS = 2_000
#: Rows of a sample: a share of 10% is then off by 0.4 points at most, 19 times of 20.
_SAMPLE = 20_000


@dataclass(frozen=True, slots=True)
class Count:
    """`is_exact` is False for an estimate from a sample."""

    people: int
    is_exact: bool = True


def count(condition: str, parameters: list[Any], *, milliseconds: int = COUNT_MS) -> Count:
    """People for whom a SQL boolean over the alias `r` of preferences_recipient holds."""
    try:
        with bounded(milliseconds), connection.cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM preferences_recipient r WHERE {condition}", parameters)
            people: int = cursor.fetchone()[0]
            # Steps of the life cycle count in a transaction that goes on.
            cursor.execute("SET LOCAL statement_timeout TO DEFAULT")
    except StatementTooSlow:
        return _estimated(condition, parameters)
    return Count(people)


def _estimated(condition: str, parameters: list[Any]) -> Count:
    with connection.cursor() as cursor:
        everyone = estimated_rows(Recipient)
        cursor.execute(
            f"SELECT count(*) FILTER (WHERE {condition}), count(*)"
            "  FROM preferences_recipient r TABLESAMPLE SYSTEM (%s)",
            [*parameters, min(100.0, 100.0 * _SAMPLE / max(everyone, 1))],
        )
        matching, seen = cursor.fetchone()
    people = round(everyone * matching / seen) if seen else 0
    return Count(max(1, people), is_exact=False)  # nobody is something to be sure of
