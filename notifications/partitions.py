"""Weekly range partitions of the record tables, on their UUIDv7 ids.

A partition covers one ISO week, Monday to Monday in UTC, and is named after it: `notifications_delivery_2026w47`. Each
table also has a default partition, so that a row with an id outside every week is kept and not refused; maintenance
moves such rows into a week of their own.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db import connection, migrations, transaction
from django.db.migrations.state import ProjectState

from core.ids import floor

#: Table -> share of a page filled on insert. A delivery is updated two or three times within seconds; with room left
#: on its page those updates stay HOT and touch no index.
TABLES = {"notifications_notification": 100, "notifications_delivery": 50, "notifications_deliveryevent": 100}


@dataclass(frozen=True, slots=True)
class Week:
    """One ISO week as a partition: its first day (a Monday) and the ids it covers, `from_id <= id < to_id`."""

    monday: date

    @classmethod
    def of(cls, moment: datetime) -> "Week":
        day = moment.astimezone(UTC).date()
        return cls(day - timedelta(days=day.weekday()))

    def next(self, weeks: int = 1) -> "Week":
        return Week(self.monday + timedelta(weeks=weeks))

    @property
    def suffix(self) -> str:
        year, week, _ = self.monday.isocalendar()
        return f"{year}w{week:02d}"

    @property
    def bounds(self) -> tuple[str, str]:
        start = datetime.combine(self.monday, datetime.min.time(), tzinfo=UTC)
        return str(floor(start)), str(floor(start + timedelta(weeks=1)))


class CreatePartitionedModel(migrations.CreateModel):
    """CreateModel for a record table: the parent is PARTITION BY RANGE (id), with a default partition."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        model: Any = to_state.apps.get_model(app_label, self.name)
        sql, params = schema_editor.table_sql(model)
        schema_editor.execute(f"{sql} PARTITION BY RANGE (id)", params)
        table = model._meta.db_table
        schema_editor.execute(f"CREATE TABLE {table}_default PARTITION OF {table} DEFAULT")
        schema_editor.deferred_sql.extend(schema_editor._model_indexes_sql(model))


def weeks(since: datetime, ahead: int) -> Iterator[Week]:
    """The week of `since` and the `ahead` weeks after it."""
    first = Week.of(since)
    return (first.next(n) for n in range(ahead + 1))


def existing(table: str) -> set[str]:
    """The suffixes of a table's weekly partitions."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass", [table])
        names = {row[0].split(".")[-1].strip('"') for row in cursor.fetchall()}
    return {name.removeprefix(f"{table}_") for name in names} - {"default"}


def create(table: str, week: Week) -> None:
    """Create one week's partition, moving rows that already fell into the default partition into it."""
    name = f"{table}_{week.suffix}"
    low, high = week.bounds
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"LOCK TABLE {table} IN SHARE UPDATE EXCLUSIVE MODE")
        cursor.execute(f"CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)")
        cursor.execute(f"ALTER TABLE {name} SET (fillfactor = {TABLES[table]})")
        cursor.execute(
            f"WITH moved AS (DELETE FROM {table}_default WHERE id >= %s AND id < %s RETURNING *)"
            f" INSERT INTO {name} SELECT * FROM moved",
            [low, high],
        )
        cursor.execute(f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ('{low}') TO ('{high}')")


def ensure(now: datetime, ahead: int) -> list[str]:
    """Create what is missing of this week, the week before and `ahead` weeks; returns the new partitions' names."""
    made = []
    for table in TABLES:
        have = existing(table)
        for week in weeks(now - timedelta(weeks=1), ahead + 1):
            if week.suffix not in have:
                create(table, week)
                made.append(f"{table}_{week.suffix}")
    return made


def drop_before(now: datetime, keep_weeks: int) -> list[str]:
    """Retention: detach and drop the partitions that ended more than `keep_weeks` weeks ago."""
    oldest = Week.of(now).next(-keep_weeks).suffix
    dropped = []
    for table in TABLES:
        for suffix in sorted(existing(table)):
            if suffix < oldest:
                with connection.cursor() as cursor:
                    cursor.execute(f"DROP TABLE {table}_{suffix}")
                dropped.append(f"{table}_{suffix}")
    return dropped


def strays() -> dict[str, int]:
    """Rows in each default partition, counted to 1,000 at most: more than none means an id outside every week."""
    found = {}
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"SELECT count(*) FROM (SELECT FROM {table}_default LIMIT 1000) few")
            found[table] = cursor.fetchone()[0]
    return found
