"""Fields that Django does not have."""

from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper


class StoredJSONField(models.JSONField):
    """JSON that is written once and read whole: PostgreSQL's json, kept as the text it came as.

    jsonb takes it apart on the way in and puts it together on the way out; of half a kilobyte that is 4 us, a tenth of
    what the server spends on a notification. json has no operators to compare or to search: what is asked for by value
    belongs in a column.
    """

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        return "json"

    def from_db_value(self, value: Any, expression: Any, connection: BaseDatabaseWrapper) -> Any:
        """psycopg has parsed it."""
        return super().from_db_value(value, expression, connection) if isinstance(value, str) else value
