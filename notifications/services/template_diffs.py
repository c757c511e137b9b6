"""What differs between two contents, field by field and line by line. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher

from notifications.services.rendering import FIELDS

#: Lines of one field that are compared; a longer one is shown as taken away and written anew.
MAX_LINES = 2_000
#: Unchanged lines that are shown around a change.
AROUND = 3

SAME, GONE, NEW, SKIPPED = " ", "-", "+", "…"


@dataclass(frozen=True, slots=True)
class Line:
    """`mark` is SAME, GONE or NEW, or SKIPPED, whose `text` says how many lines are left out. `old` and `new` are its
    numbers, from 1, where it stands in that version."""

    mark: str
    text: str
    old: int | None = None
    new: int | None = None


@dataclass(frozen=True, slots=True)
class FieldDiff:
    locale: str
    channel: str
    field: str
    lines: tuple[Line, ...]

    @property
    def change(self) -> str:
        marks = {line.mark for line in self.lines}
        return "added" if marks == {NEW} else "removed" if marks == {GONE} else "changed"


def diff(old: object, new: object) -> list[FieldDiff]:
    """The fields that differ, in the order of the editor."""
    before, after = _fields(old), _fields(new)
    order = {(channel, name): n for n, (channel, name) in enumerate((c, f) for c in FIELDS for f in FIELDS[c])}
    changed = [key for key in {**before, **after} if before.get(key, "") != after.get(key, "")]
    changed.sort(key=lambda key: (key[0], order.get(key[1:], len(order))))
    return [FieldDiff(*key, tuple(_lines(before.get(key, ""), after.get(key, "")))) for key in changed]


def _fields(content: object) -> dict[tuple[str, str, str], str]:
    return {
        (locale, channel, name): str(text)
        for locale, channels in (content.items() if isinstance(content, Mapping) else ())
        for channel, fields in (channels.items() if isinstance(channels, Mapping) else ())
        for name, text in (fields.items() if isinstance(fields, Mapping) else ())
        if text
    }


def _lines(old: str, new: str) -> Iterator[Line]:
    before, after = old.split("\n") if old else [], new.split("\n") if new else []
    if max(len(before), len(after)) > MAX_LINES:
        yield from _gone(before, 0, len(before))
        yield from _new(after, 0, len(after))
        return
    shown = 0
    for group in SequenceMatcher(None, before, after).get_grouped_opcodes(AROUND):
        yield from _left_out(group[0][1] - shown)
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                for step in range(i2 - i1):
                    yield Line(SAME, before[i1 + step], i1 + step + 1, j1 + step + 1)
            else:
                yield from _gone(before, i1, i2)
                yield from _new(after, j1, j2)
        shown = group[-1][2]
    yield from _left_out(len(before) - shown)


def _left_out(count: int) -> Iterator[Line]:
    if count:
        yield Line(SKIPPED, f"{count} unchanged line{'s' if count > 1 else ''}")


def _gone(lines: list[str], start: int, end: int) -> Iterator[Line]:
    for n in range(start, end):
        yield Line(GONE, lines[n], old=n + 1)


def _new(lines: list[str], start: int, end: int) -> Iterator[Line]:
    for n in range(start, end):
        yield Line(NEW, lines[n], new=n + 1)
