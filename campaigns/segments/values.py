"""What stands beside an operator, checked: the value as SQL takes it, or a sentence that says what is wanted."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from campaigns.segments.vocabulary import Takes
from preferences.choices import Channel, Platform

MAX_TEXT: Final = 200
MAX_TEXTS: Final = 500
#: Ten years, for days that are dates; the record of what was sent is rarely kept for longer than one.
MAX_DAYS: Final = 3650
MAX_ENGAGEMENT_DAYS: Final = 365
_MAX_NUMBER = 1e15
_UNSTORABLE = "\x00"


class ValueRefused(Exception):
    """The value can't be taken. `where` is the pointer inside the value."""

    def __init__(self, message: str, where: str = "") -> None:
        self.message = message
        self.where = where
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Wish:
    """A channel, for one category or for every one that has no word of its own."""

    channel: str
    category: str = ""


@dataclass(frozen=True, slots=True)
class Engagement:
    """The last so many days; of one category, or of one campaign."""

    days: int
    category: str = ""
    campaign: int | None = None


def check(takes: Takes, value: object) -> Any:
    """The value in its own type; raises ValueRefused."""
    return _CHECKS[takes](value)


def _nothing(value: object) -> None:
    if value not in (None, ""):
        raise ValueRefused("This needs no value; leave it out.")


def _text(value: object) -> str:
    if value is None:
        raise ValueRefused("Fill in a value.")
    if not isinstance(value, str):
        raise ValueRefused("This must be text.")
    text = value.strip()
    if not text:
        raise ValueRefused("Fill in a value.")
    if len(text) > MAX_TEXT:
        raise ValueRefused(f"At most {MAX_TEXT} characters.")
    if _UNSTORABLE in text or not text.isprintable():
        raise ValueRefused("Printable characters only.")
    return text


def _texts(value: object) -> list[str]:
    if not isinstance(value, list):
        raise ValueRefused("This must be a list of texts.")
    if not value:
        raise ValueRefused("Fill in at least one value.")
    if len(value) > MAX_TEXTS:
        raise ValueRefused(f"At most {MAX_TEXTS} values; upload a list for more.")
    texts = []
    for position, one in enumerate(value):
        try:
            texts.append(_text(one))
        except ValueRefused as refused:
            raise ValueRefused(refused.message, f"/{position}") from None
    return list(dict.fromkeys(texts))


def _number(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueRefused("This must be a number.")
    if abs(value) > _MAX_NUMBER:
        raise ValueRefused("The number is too large.")
    return Decimal(str(value))


def _date(value: object) -> date:
    try:
        if isinstance(value, str) and len(value) == 10:
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise ValueRefused("This must be a date, for example 2026-03-31.")


def _days(value: object, most: int = MAX_DAYS) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise ValueRefused(f"This must be a whole number of days, 1 to {most:,}.")
    return value


def _platform(value: object) -> str:
    if value in (None, ""):
        return ""
    if value not in Platform.values:
        raise ValueRefused(f"This must be one of {', '.join(Platform.values)}, or nothing for any.")
    return str(value)


def _list(value: object) -> int:
    return _id(value, "Choose a list.")


def _id(value: object, otherwise: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**31:
        raise ValueRefused(otherwise)
    return value


def _wish(value: object) -> Wish:
    given = _object(value, "channel", "category", example='{"channel": "email"}')
    channel, category = given.get("channel"), given.get("category")
    if channel not in Channel.values:
        raise ValueRefused(f"Choose a channel: {', '.join(Channel.values)}.", "/channel")
    return Wish(str(channel), _slug(category))


def _engagement(value: object) -> Engagement:
    given = _object(value, "days", "category", "campaign", example='{"days": 30}')
    try:
        days = _days(given.get("days"), MAX_ENGAGEMENT_DAYS)
    except ValueRefused as refused:
        raise ValueRefused(refused.message, "/days") from None
    category, campaign = _slug(given.get("category")), given.get("campaign")
    if campaign in (None, ""):
        return Engagement(days, category)
    if category:
        raise ValueRefused("Name a category or a campaign, not both.", "/category")
    try:
        return Engagement(days, campaign=_id(campaign, "Choose a campaign."))
    except ValueRefused as refused:
        raise ValueRefused(refused.message, "/campaign") from None


def _slug(value: object) -> str:
    if value in (None, ""):
        return ""
    try:
        return _text(value)
    except ValueRefused as refused:
        raise ValueRefused(refused.message, "/category") from None


def _object(value: object, *names: str, example: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise ValueRefused(f"This must be an object, for example {example}.")
    for name in value:
        if name not in names:
            raise ValueRefused(f"There is no such member here; there are {', '.join(names)}.", f"/{name}")
    return value


_CHECKS: Final[dict[Takes, Callable[[object], Any]]] = {
    Takes.NOTHING: _nothing,
    Takes.TEXT: _text,
    Takes.TEXTS: _texts,
    Takes.NUMBER: _number,
    Takes.DATE: _date,
    Takes.DAYS: _days,
    Takes.PLATFORM: _platform,
    Takes.LIST: _list,
    Takes.WISH: _wish,
    Takes.ENGAGEMENT: _engagement,
}
