"""Whether a message to a person is gathered, and by which rule. Pure: values in, values out."""

from collections.abc import Iterable, Sequence
from datetime import time
from typing import Any, Protocol

import msgspec

from preferences.choices import Channel, DigestMode, DigestRhythm

HOUR = 3600
MONDAY = 0
_NONE = DigestMode.NONE.value
_GATHERED = (Channel.PUSH.value, Channel.EMAIL.value, Channel.SMS.value)


class DigestRule(msgspec.Struct, frozen=True):
    """How messages are gathered: the configuration of a category, or what a person made of it.

    `seconds` is the window and `cap_seconds` the longest a sliding one lasts; `at` is local time, `weekdays` (Monday is
    0; none: every day) go with it. `channels` are those on which messages are gathered.
    """

    mode: str = _NONE
    seconds: int = HOUR
    cap_seconds: int = 4 * HOUR
    at: time = time(9, 0)
    weekdays: tuple[int, ...] = ()
    first_at_once: bool = False
    template: str = ""
    channels: tuple[str, ...] = _GATHERED


#: Each message as it comes.
NO_DIGEST = DigestRule()


#: A category's columns in the order of the fields of DigestRule.
DIGEST_COLUMNS = (
    "digest_mode", "digest_window_seconds", "digest_cap_seconds", "digest_at", "digest_weekdays",
    "digest_first_at_once", "digest_template", "digest_channels",
)  # fmt: skip


def digest_rule(columns: Sequence[Any]) -> DigestRule:
    """The rule that DIGEST_COLUMNS of a category hold."""
    mode, seconds, cap, at, weekdays, first_at_once, template, channels = columns
    return DigestRule(mode, seconds, cap, at, tuple(sorted(weekdays)), first_at_once, template, tuple(channels))


class DigestWord(msgspec.Struct, frozen=True):
    """What a person said: how often, and for daily and weekly perhaps when."""

    rhythm: str
    at: time | None = None
    weekday: int | None = None


def spelled(word: DigestWord | None) -> str:
    """`daily:1830:` or `weekly:0800:6`: the rhythm, hours and minutes, weekday; empty for no word."""
    if word is None:
        return ""
    at = "" if word.at is None else f"{word.at:%H%M}"
    return f"{word.rhythm}:{at}:{'' if word.weekday is None else word.weekday}"


def read_word(text: str) -> DigestWord | None:
    """What `spelled` wrote. Raises ValueError for what it cannot have written."""
    if not text:
        return None
    rhythm, at, weekday = text.split(":")
    return DigestWord(rhythm, time(int(at[:2]), int(at[2:])) if at else None, int(weekday) if weekday else None)


class _Reach(Protocol):
    @property
    def digests(self) -> tuple[str, ...]: ...


class _Category(Protocol):
    @property
    def id(self) -> int: ...
    @property
    def is_required(self) -> bool: ...
    @property
    def digest(self) -> DigestRule: ...


def rule_of(reach: _Reach, category: _Category) -> DigestRule | None:
    """The rule that this person's messages of this category are gathered by; None when each goes as it comes."""
    if not reach.digests:
        rule = category.digest
        return None if rule.mode == _NONE or category.is_required else rule
    return in_force(category.digest, word_of(reach.digests, category.id), is_required=category.is_required)


def in_force(rule: DigestRule, word: DigestWord | None, *, is_required: bool) -> DigestRule | None:
    """What holds in the end of a category's rule and a person's word. A required category is never gathered."""
    if is_required:
        return None
    if word is None or word.rhythm == DigestRhythm.DEFAULT:
        return None if rule.mode == _NONE else rule
    if word.rhythm == DigestRhythm.AS_IT_COMES:
        return None
    if word.rhythm == DigestRhythm.HOURLY:
        return msgspec.structs.replace(rule, mode=DigestMode.FIXED.value, seconds=HOUR, first_at_once=False)
    weekdays: tuple[int, ...] = ()
    if word.rhythm == DigestRhythm.WEEKLY:
        weekdays = (word.weekday if word.weekday is not None else next(iter(rule.weekdays), MONDAY),)
    at = rule.at if word.at is None else word.at
    return msgspec.structs.replace(
        rule, mode=DigestMode.LOCAL_TIME.value, at=at, weekdays=weekdays, first_at_once=False
    )


def word_of(said: Iterable[str], category_id: int) -> DigestWord | None:
    """The word that counts for a category, of words as `Reach.digests` holds them: the narrower one wins."""
    narrow, wide = f"{category_id}:", "*:"
    found = ""
    for word in said:
        if word.startswith(narrow):
            found = word
            break
        if word.startswith(wide):
            found = word
    return read_word(found.partition(":")[2])
