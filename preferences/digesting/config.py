"""What a category's digest may be: one check for the API and the form."""

from collections.abc import Iterator
from typing import cast

from django.conf import settings
from django.utils.module_loading import import_string

from preferences.choices import Channel, DigestMode, Strategy
from preferences.digesting.models import MAX_WINDOW_SECONDS
from preferences.errors import Problem
from preferences.models import Category
from preferences.strategies import escalation_of


def problems(category: Category) -> list[Problem]:
    """What is wrong with the digest of a category that is about to be written; fields are named as its columns."""
    return list(_problems(category))


def template_problem(slug: str, channels: list[str]) -> str:
    """Why this template cannot say what was gathered on these channels, or an empty string. The templates belong to
    the app above (settings.DIGEST_TEMPLATE_CHECK)."""
    return cast(str, import_string(settings.DIGEST_TEMPLATE_CHECK)(slug, channels))


def _problems(category: Category) -> Iterator[Problem]:
    if category.digest_mode not in DigestMode.values:
        yield Problem("digest_mode", "invalid", f"One of {', '.join(DigestMode.values)}.")
    elif category.is_required and category.digest_mode != DigestMode.NONE:
        yield Problem("digest_mode", "required_category", "What cannot be opted out of is never gathered.")
    for name in ("digest_window_seconds", "digest_cap_seconds"):
        if not 1 <= getattr(category, name) <= MAX_WINDOW_SECONDS:
            yield Problem(name, "range", f"1 to {MAX_WINDOW_SECONDS:,} seconds.")
    is_sliding = category.digest_mode == DigestMode.SLIDING
    if is_sliding and category.digest_cap_seconds < category.digest_window_seconds:
        yield Problem("digest_cap_seconds", "too_short", "The cap is at least as long as the window.")
    days = category.digest_weekdays
    if any(day not in range(7) for day in days) or len(set(days)) < len(days):
        yield Problem("digest_weekdays", "invalid", "Weekdays are 0 (Monday) to 6 (Sunday), each once.")
    channels = category.digest_channels
    if not channels or len(set(channels)) < len(channels) or not set(channels) <= set(Channel.values):
        yield Problem("digest_channels", "invalid", "One or more channels, each once.")
    elif category.digest_mode != DigestMode.NONE and (late := _told_late(category)):
        before, after = late
        says = f"{after} follows {before}, and would go before it: gather on both, or only on what comes last."
        yield Problem("digest_channels", "order", says)
    elif category.digest_template and (says := template_problem(category.digest_template, channels)):
        yield Problem("digest_template", "template", says)


def _told_late(category: Category) -> tuple[str, str] | None:
    """A gathered channel and one that follows it, and that would be told at once: nobody has a chance to be spared it.
    The feed disturbs nobody, and may."""
    if category.strategy == Strategy.FIRST:
        order = list(category.channels)
    elif category.strategy == Strategy.ESCALATE:
        order = [step.channel for step in escalation_of(category.escalation)]
    else:
        return None
    gathered = ""
    for channel in order:
        if channel in category.digest_channels:
            gathered = channel
        elif gathered and channel != Channel.IN_APP:
            return str(Channel(gathered).label), str(Channel(channel).label)
    return None
