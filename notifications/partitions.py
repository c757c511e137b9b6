"""Weekly range partitions of the record tables, on their UUIDv7 ids.

A partition covers one ISO week, Monday to Monday in UTC, and is named after it: `notifications_delivery_2026w47`. Each
table also has a default partition, so that a row with an id outside every week is kept and not refused; maintenance
moves such rows into a week of their own.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, connection, migrations, transaction
from django.db.migrations.state import ProjectState

from core.ids import floor, made_at

#: Table -> share of a page filled on insert. A delivery is updated two or three times within seconds; with room left
#: on its page those updates stay HOT and touch no index.
TABLES = {"notifications_notification": 100, "notifications_delivery": 50, "notifications_deliveryevent": 100}

#: How long a change of partitions waits for a lock. Whoever comes after it queues behind it for as long, so it gives
#: way to a long reader (a dump, a report) and is tried again at the next round.
PATIENCE = "2s"
#: The same for a second lock. After a second of waiting (deadlock_timeout) PostgreSQL looks for a deadlock and ends the
#: one that looks, which would be a writer; we are gone by then.
SHORT_PATIENCE = "300ms"
#: Weeks made for stray rows at a time, for each table.
STRAY_WEEKS = 8
#: A row further ahead than this was made by a wrong clock. It gets no week of its own, and stays in the warning.
STRAYS_AHEAD = timedelta(weeks=53)


@dataclass(frozen=True, slots=True)
class Week:
    """One ISO week as a partition: its first day (a Monday) and the ids it covers, `from_id <= id < to_id`."""

    monday: date

    @classmethod
    def of(cls, moment: datetime) -> "Week":
        day = moment.astimezone(UTC).date()
        return cls(day - timedelta(days=day.weekday()))

    @classmethod
    def named(cls, suffix: str) -> "Week":
        year, _, week = suffix.partition("w")
        return cls(date.fromisocalendar(int(year), int(week), 1))

    def next(self, weeks: int = 1) -> "Week":
        return Week(self.monday + timedelta(weeks=weeks))

    @property
    def suffix(self) -> str:
        year, week, _ = self.monday.isocalendar()
        return f"{year}w{week:02d}"

    @property
    def start(self) -> datetime:
        return datetime.combine(self.monday, datetime.min.time(), tzinfo=UTC)

    @property
    def end(self) -> datetime:
        return self.start + timedelta(weeks=1)

    @property
    def bounds(self) -> tuple[str, str]:
        return str(floor(self.start)), str(floor(self.end))


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


def create(table: str, week: Week) -> bool:
    """Create one week's partition, moving rows that already fell into the default partition into it.

    False when it is there already. Raises OperationalError when the table is too busy; nothing has changed then.

    Without rows to move, writers go on, and only who needs the default partition waits for the moment of ATTACH. With
    rows to move, nobody may look meanwhile: a statement planned before the move would look for its row in the default
    partition, find none and change nothing, and a new row on its way there would be refused.
    """
    low, high = week.bounds
    with connection.cursor() as cursor:  # outside the transaction, which must not hold the default while it waits
        cursor.execute(f"SELECT EXISTS (SELECT FROM {table}_default WHERE id >= %s AND id < %s)", [low, high])
        (moving,) = cursor.fetchone()
    if not moving:
        try:
            return _create(table, week, moving=False)
        except IntegrityError:  # the first such row came between the look and ATTACH
            pass
    return _create(table, week, moving=True)


def _create(table: str, week: Week, *, moving: bool) -> bool:
    name = f"{table}_{week.suffix}"
    low, high = week.bounds
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{PATIENCE}'")
        # Both modes exclude a second process that makes partitions, which is why what exists is asked after it.
        cursor.execute(f"LOCK TABLE ONLY {table} IN {'ACCESS' if moving else 'SHARE UPDATE'} EXCLUSIVE MODE")
        if week.suffix in existing(table):
            return False
        cursor.execute(f"CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)")
        cursor.execute(f"ALTER TABLE {name} SET (fillfactor = {TABLES[table]})")
        if moving:
            cursor.execute(f"SET LOCAL lock_timeout = '{SHORT_PATIENCE}'")
            cursor.execute(f"LOCK TABLE {table}_default IN ACCESS EXCLUSIVE MODE")
            cursor.execute("SET LOCAL statement_timeout = 0")  # half-way is no use: once begun, it must come to an end
            cursor.execute(
                f"WITH moved AS (DELETE FROM {table}_default WHERE id >= %s AND id < %s RETURNING *)"
                f" INSERT INTO {name} SELECT * FROM moved",
                [low, high],
            )
        cursor.execute(f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ('{low}') TO ('{high}')")
    return True


def ensure(now: datetime, ahead: int) -> list[str]:
    """Create what is missing of this week, the week before and `ahead` weeks; returns the new partitions' names.

    Raises OperationalError when a table is too busy; what was made until then stays.
    """
    return _make(weeks(now - timedelta(weeks=1), ahead + 1))


def take_in_strays(now: datetime) -> list[str]:
    """Make weeks for rows in the default partitions, as after a long standstill of maintenance or when a campaign goes
    on whose week was dropped. Returns the new partitions' names. Raises OperationalError like `ensure`."""
    return _make(sorted({week for table in TABLES for week in _stray_weeks(table, now)}, key=lambda week: week.monday))


def _make(wanted: Iterable[Week]) -> list[str]:
    wanted = list(wanted)
    made = []
    for table in TABLES:
        have = existing(table)
        for week in wanted:
            if week.suffix not in have and create(table, week):
                made.append(f"{table}_{week.suffix}")
    return made


def _stray_weeks(table: str, now: datetime) -> Iterator[Week]:
    """The weeks of a default partition's rows, from the oldest, STRAY_WEEKS at most: a step along the key for each."""
    low, end = str(UUID(int=0)), str(floor(now + STRAYS_AHEAD))
    for _ in range(STRAY_WEEKS):
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT id FROM {table}_default WHERE id >= %s AND id < %s ORDER BY id LIMIT 1", [low, end])
            row = cursor.fetchone()
        if row is None:
            return
        week = Week.of(made_at(row[0]))
        yield week
        low = week.bounds[1]


def ended_before(now: datetime, keep_weeks: int) -> list[Week]:
    """The weeks with a partition that ended more than `keep_weeks` weeks ago, from the oldest."""
    oldest = Week.of(now).next(-keep_weeks).monday
    found = {Week.named(suffix) for table in TABLES for suffix in existing(table)}
    return sorted((week for week in found if week.monday < oldest), key=lambda week: week.monday)


def strays() -> dict[str, int]:
    """Rows in each default partition, counted to 1,000 at most: more than none means an id outside every week."""
    found = {}
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"SELECT count(*) FROM (SELECT FROM {table}_default LIMIT 1000) few")
            found[table] = cursor.fetchone()[0]
    return found
