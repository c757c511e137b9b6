"""Reads that may not run for long, whatever a caller filters by."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import OperationalError, connection, transaction

_QUERY_CANCELED = "57014"


class StatementTooSlow(Exception):
    """A read was given up because it took longer than it may; a narrower one can succeed."""


@contextmanager
def bounded(milliseconds: int) -> Iterator[None]:
    """Statements inside end after `milliseconds` each; raises StatementTooSlow. One transaction, for reads only."""
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(milliseconds)])
            yield
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) == _QUERY_CANCELED:
            raise StatementTooSlow() from error
        raise
