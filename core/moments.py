"""Points in time as callers give them."""

from datetime import UTC, datetime


def fits_utc(value: datetime) -> bool:
    """Whether an aware time can be carried to UTC: at the edges of the calendar an offset leads out of it, into years
    that PostgreSQL stores and Python cannot read."""
    try:
        value.astimezone(UTC)
    except OverflowError:
        return False
    return True
