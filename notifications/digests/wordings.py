"""The template that says what was gathered, and what is said without one."""

from collections.abc import Mapping, Sequence
from typing import Any

from notifications.services.admission import is_storable
from notifications.services.templates import catalogue
from preferences.services import CategoryInfo

#: Items that the built-in wording names.
MAX_LINES = 5
MAX_LINE = 80


def problem(slug: str, channels: Sequence[str]) -> str:
    """Why this template cannot say what was gathered on these channels, or an empty string."""
    published = catalogue.published(slug) if is_storable(slug) else None
    if published is None:
        return f"There is no published template {slug!r}."
    missing = [channel for channel in channels if channel not in published.channels]
    return f"{slug} says nothing for {', '.join(missing)}." if missing else ""


def fallback(data: Mapping[str, Any], category: CategoryInfo) -> Mapping[str, str]:
    """The built-in wording, for every channel: how many, and the first lines of the newest."""
    count = data["count"]
    lines = [_short(item["title"]) for item in data["items"][:MAX_LINES] if item["title"]]
    if rest := count - len(lines):
        lines.append(f"and {rest} more")
    return {"title": f"{count} new: {category.slug}", "body": "\n".join(lines)}


def _short(text: str) -> str:
    return text if len(text) <= MAX_LINE else f"{text[: MAX_LINE - 1]}…"
