"""Points in time: as callers give them, and the one that decides, the database's."""

from datetime import UTC, datetime

from django.db import connection


def fits_utc(value: datetime) -> bool:
    """Whether an aware time can be carried to UTC: at the edges of the calendar an offset leads out of it, into years
    that PostgreSQL stores and Python cannot read."""
    try:
        value.astimezone(UTC)
    except OverflowError:
        return False
    return True


def database_now() -> datetime:
    """The clock that everything is recorded by."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        now: datetime = cursor.fetchone()[0]
        return now
