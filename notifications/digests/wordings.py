"""The template that says what was gathered, and what is said without one."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from notifications.errors import RenderError
from notifications.services.admission import is_storable
from notifications.services.template_previews import context_of
from notifications.services.templates import catalogue
from preferences.choices import DigestMode
from preferences.models import Category
from preferences.services import CategoryInfo

#: Items that the built-in wording names.
MAX_LINES = 5
MAX_LINE = 80

#: What a digest's template may get, as `bundles.data_of` makes it: it is tried with this before anybody relies on it.
SAMPLE: Mapping[str, Any] = {
    "count": 3,
    "items": [
        {
            "title": "A new comment", "body": "Looks good to me.", "link": "https://example.com/7",
            "at": "2026-11-27T14:03:07+00:00", "data": {},
        }
    ] * 2,
    "more": 1,
    "since": "2026-11-27T14:03:07+00:00",
}  # fmt: skip


def problem(slug: str, channels: Sequence[str]) -> str:
    """Why this template cannot say what was gathered on these channels, or an empty string."""
    published = catalogue.published(slug) if is_storable(slug) else None
    if published is None:
        return f"There is no published template {slug!r}."
    missing = [channel for channel in channels if channel not in published.channels]
    if missing:
        return f"{slug} says nothing for {', '.join(missing)}."
    context = context_of({}, data=SAMPLE, recipient=None, locale=published.default_locale)
    for channel in channels:
        try:
            catalogue.render(published.version_id, channel, published.default_locale, context)
        except RenderError as error:
            return f"{slug} cannot say on {channel} what was gathered: {error}"
    return ""


def unfit() -> Iterator[tuple[str, str]]:
    """Categories whose digests go out in the built-in wording although they name a template, and why."""
    for category in Category.objects.exclude(digest_template="").exclude(digest_mode=DigestMode.NONE):
        if says := problem(category.digest_template, category.digest_channels):
            yield category.slug, says


def fallback(data: Mapping[str, Any], category: CategoryInfo) -> Mapping[str, str]:
    """The built-in wording, for every channel: how many, and the first lines of the newest."""
    count = data["count"]
    lines = [_short(item["title"]) for item in data["items"][:MAX_LINES] if item["title"]]
    if rest := count - len(lines):
        lines.append(f"and {rest} more")
    return {"title": f"{count} new: {category.slug}", "body": "\n".join(lines)}


def _short(text: str) -> str:
    return text if len(text) <= MAX_LINE else f"{text[: MAX_LINE - 1]}…"
