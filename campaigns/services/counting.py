"""How many people that is: counted, unless it takes too long; then a stated estimate."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import connection

from campaigns.segments.estimating import estimated
from core.statements import StatementTooSlow, bounded

#: Milliseconds for an exact count: somebody waits for it.
COUNT_MS = 2_000

#: A SQL boolean over the alias `r` of preferences_recipient, and its parameters.
Condition = tuple[str, list[Any]]


@dataclass(frozen=True, slots=True)
class Count:
    """`is_exact` is False for an estimate from a sample."""

    people: int
    is_exact: bool = True


def count(condition: Condition, few: Callable[[], Condition], *, milliseconds: int = COUNT_MS) -> Count:
    """People for whom a condition holds; `few` makes the same condition as it is quick for some people. Steps of the
    life cycle count in a transaction that goes on."""
    sql, parameters = condition
    try:
        with bounded(milliseconds), connection.cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM preferences_recipient r WHERE {sql}", parameters)
            return Count(cursor.fetchone()[0])
    except StatementTooSlow:
        return Count(max(1, estimated(*few())), is_exact=False)  # nobody is something to be sure of
