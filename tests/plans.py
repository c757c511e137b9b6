"""How PostgreSQL would run what the code under test asks of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection

from core.postgresql.direct import direct_cursor


@contextmanager
def plans(*words: str) -> Iterator[list[str]]:
    """The plans of the statements inside that have all these words, with the parameters they were given."""
    found: list[str] = []

    def explain(execute: Any, query: str, parameters: Any, many: bool, context: Any) -> Any:
        if all(word in query for word in words) and not query.startswith("EXPLAIN"):
            with direct_cursor() if "$1" in query else connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN {query}", parameters)
                found.append("\n".join(row[0] for row in cursor.fetchall()))
        return execute(query, parameters, many, context)

    with connection.execute_wrapper(explain):
        yield found
