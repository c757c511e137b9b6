"""How often something comes, as one would say it."""

import calendar

from preferences.choices import DigestMode, DigestRhythm
from preferences.digesting.rules import DigestRule, in_force, read_word

_UNITS = ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def how_often(rule: DigestRule | None) -> str:
    """`As it comes`, `Every day at 09:00`, `Mondays at 18:30`, `Gathered for 10 minutes`. Times are the person's."""
    if rule is None or rule.mode == DigestMode.NONE:
        return "As it comes"
    if rule.mode == DigestMode.FIXED:
        return f"Gathered for {_span(rule.seconds)}"
    if rule.mode == DigestMode.SLIDING:
        return f"Gathered until {_span(rule.seconds)} pass without another, for {_span(rule.cap_seconds)} at most"
    days = " and ".join(f"{calendar.day_name[day]}s" for day in rule.weekdays) or "Every day"
    return f"{days} at {rule.at:%H:%M}"


def said(text: str) -> str:
    """A person's word as `rules.spelled` writes it, in words: `every day at 18:30`, `weekly, on Fridays`, `hourly`.
    Empty for no word."""
    word = read_word(text)
    if word is None:
        return ""
    if word.rhythm == DigestRhythm.DEFAULT:
        return "as usual"
    label = str(DigestRhythm(word.rhythm).label).lower()
    if word.at is None:
        return label if word.weekday is None else f"{label}, on {calendar.day_name[word.weekday]}s"
    says = how_often(in_force(DigestRule(), word, is_required=False))
    if word.rhythm == DigestRhythm.WEEKLY and word.weekday is None:
        return f"{label}, at {word.at:%H:%M}"
    return says if word.rhythm == DigestRhythm.WEEKLY else f"{says[:1].lower()}{says[1:]}"


def _span(seconds: int) -> str:
    size, unit = next(one for one in _UNITS if seconds % one[0] == 0)
    count = seconds // size
    return f"{count:,} {unit}{'' if count == 1 else 's'}"
