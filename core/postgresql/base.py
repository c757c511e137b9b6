"""Django's PostgreSQL backend, but a server that takes no writes is an outage and not an error of ours.

PostgreSQL answers a write on a standby, or on a primary that is being replaced, with SQLSTATE 25006. Django takes that
for an InternalError, as if the statement were to blame. Whoever waits out an outage catches OperationalError.
"""

from types import TracebackType
from typing import Any

from django.db.backends.postgresql import base
from django.db.backends.utils import CursorWrapper
from django.db.utils import DatabaseErrorWrapper, OperationalError
from django.utils.functional import cached_property
from psycopg.errors import ReadOnlySqlTransaction

from core.postgresql.direct import DirectCursor, adapting_keys


class _Errors(DatabaseErrorWrapper):
    def __exit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(exc_value, ReadOnlySqlTransaction):
            self.wrapper.errors_occurred = True  # type: ignore[attr-defined]  # the stubs do not know it
            raise OperationalError(*exc_value.args).with_traceback(traceback) from exc_value
        super().__exit__(exc_type, exc_value, traceback)


class DatabaseWrapper(base.DatabaseWrapper):
    """What `settings.DATABASES` names by `core.postgresql`."""

    @cached_property
    def wrap_database_errors(self) -> DatabaseErrorWrapper:
        return _Errors(self)

    def get_connection_params(self) -> dict[str, Any]:
        params: dict[str, Any] = super().get_connection_params()
        return {**params, "context": adapting_keys(params["context"])}

    def direct_cursor(self) -> CursorWrapper:
        """See `core.postgresql.direct`."""
        self.ensure_connection()
        with self.wrap_database_errors:
            wrapped: CursorWrapper = self._prepare_cursor(DirectCursor(self.connection))  # type: ignore[attr-defined]  # the stubs do not know it
            return wrapped
