"""A definition as a sentence, for those who are to approve what it selects."""

from collections.abc import Mapping
from typing import Final

from campaigns.errors import DefinitionInvalid
from campaigns.segments.definition import Condition, Group, read
from campaigns.segments.values import Engagement, Wish
from campaigns.segments.vocabulary import Kind, Takes
from preferences.choices import Channel, Platform

EVERYONE: Final = "Everyone"
#: Values that a sentence names; the rest are counted.
_NAMED: Final = 5
_JOINED: Final = {"all": " and ", "any": " or ", "none": " or "}


def sentence(definition: Mapping[str, object], lists: Mapping[int, str] | None = None) -> str:
    """What it asks, in words; `lists` are the names of saved lists by id."""
    try:
        group = read(definition)
    except DefinitionInvalid:
        return "Conditions that can't be read any more"
    return EVERYONE if group is None else _group(group, lists or {}, outermost=True)


def _group(group: Group, lists: Mapping[int, str], *, outermost: bool = False) -> str:
    parts = [_condition(item, lists) if isinstance(item, Condition) else _group(item, lists) for item in group.items]
    joined = _JOINED[group.kind].join(parts)
    if group.kind == "none":
        return f"not ({joined})"
    return joined if outermost or len(parts) == 1 else f"({joined})"


def _condition(condition: Condition, lists: Mapping[int, str]) -> str:
    subject = condition.key if condition.field.kind is Kind.ATTRIBUTE else condition.field.label
    if condition.field.kind is Kind.PREFERENCE:
        subject = ""  # who has opted out, has
    label, value = condition.op.label.removesuffix(" (number)"), _value(condition, lists)
    if "…" in label:
        days, _, of = value.partition(" ")
        return f"{subject} {label.replace('…', days)}{' ' + of if of else ''}"
    return " ".join(part for part in (subject, label, value) if part)


def _value(condition: Condition, lists: Mapping[int, str]) -> str:
    value = condition.value
    match condition.op.takes:
        case Takes.WISH:
            said = _wish(value)
        case Takes.ENGAGEMENT:
            said = _engagement(value)
        case Takes.TEXTS:
            more = f" and {len(value) - _NAMED:,} more" if len(value) > _NAMED else ""
            said = ", ".join(value[:_NAMED]) + more
        case Takes.LIST:
            said = f"“{lists.get(value, value)}”"
        case Takes.PLATFORM:
            said = f"({Platform(value).label})" if value else ""
        case Takes.TEXT:
            said = f"“{value}”"
        case _:
            said = "" if value is None else str(value)
    return said


def _wish(wish: Wish) -> str:
    return f"{Channel(wish.channel).label} for {wish.category or 'everything'}"


def _engagement(asked: Engagement) -> str:
    if asked.campaign:
        return f"{asked.days} of campaign {asked.campaign}"
    return f"{asked.days} of {asked.category}" if asked.category else str(asked.days)
