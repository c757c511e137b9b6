"""The template that says what was gathered, and what is said without one."""

from collections.abc import Sequence

from notifications.services.admission import is_storable
from notifications.services.templates import catalogue


def problem(slug: str, channels: Sequence[str]) -> str:
    """Why this template cannot say what was gathered on these channels, or an empty string."""
    published = catalogue.published(slug) if is_storable(slug) else None
    if published is None:
        return f"There is no published template {slug!r}."
    missing = [channel for channel in channels if channel not in published.channels]
    return f"{slug} says nothing for {', '.join(missing)}." if missing else ""
