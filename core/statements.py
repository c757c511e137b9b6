"""Reads that may not run for long, whatever a caller filters by."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import OperationalError, connection, transaction

_QUERY_CANCELED = "57014"


class StatementTooSlow(Exception):
    """A read was given up because it took longer than it may; a narrower one can succeed."""


@contextmanager
def bounded(milliseconds: int) -> Iterator[None]:
    """Statements inside end after `milliseconds` each; raises StatementTooSlow. One transaction, for reads only. Inside
    a caller's transaction what comes after it has its own time again."""
    is_inner = connection.in_atomic_block
    try:
        with transaction.atomic():
            before = _allow(str(milliseconds))
            yield
            if is_inner:
                _allow(before)
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) == _QUERY_CANCELED:
            raise StatementTooSlow() from error
        raise


def _allow(time: str) -> str:
    """Set how long a statement may take in this transaction; what it was before."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT before, set_config('statement_timeout', %s, true)"
            " FROM (SELECT current_setting('statement_timeout') AS before OFFSET 0) was",
            [time],
        )
        before: str = cursor.fetchone()[0]
        return before
