"""Template text to functions. Plain `{{ a.b }}` templates take a path of their own, an order of magnitude faster.

Of a plain template nothing is left to do for each message but to look up what it names, once for all fields, and to
join that with its literals: these are checked when it is compiled. Values are looked at all together, and one by one,
or the finished text is, only where one of them holds a character that needs it.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, zip_longest
from operator import itemgetter
from typing import Any

from liquid.stringify import to_liquid_string

from notifications.errors import RenderError
from notifications.services.rendering import sandbox
from notifications.services.rendering.cleaning import cleaner, settles
from notifications.services.rendering.fields import FIELDS, FieldSpec

Context = Mapping[str, object]
FieldRenderer = Callable[[Context], str]
Program = Callable[[Context], dict[str, str]]
Path = tuple[str, ...]
#: Of a plain template: a literal, or the path of a value.
Part = str | Path

_SLOT = re.compile(r"\{\{[ \n\t\r]*([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)[ \n\t\r]*\}\}")
#: In the text between slots: a sign of Liquid, or a brace that touches a slot and might belong to it.
_MARKUP = re.compile(r"\{\{|\}\}|\{%|%\}|^\}|\{\Z")
#: Words that mean something else to Liquid than the name of a variable, and properties it makes up.
_LITERALS = {"true", "false", "nil", "null", "empty", "blank", "size", "first", "last"}
_WORDS = _LITERALS | {"and", "or", "contains", "not", "in", "with", "for", "as", "if", "else"}
_WORDS |= {"offset", "limit", "reversed", "cols", "continue", "required"}
#: More slots than this go the guarded way: each may be as long as the data.
_MAX_SLOTS = 64
#: What HTML escapes.
_SPECIAL = re.compile("[&<>\"']")


def _plain(source: str) -> list[Part] | None:
    """The parts of a template that are not empty; None when it takes Liquid to read it."""
    found = _SLOT.split(source)
    literals, paths = found[::2], [tuple(name.split(".")) for name in found[1::2]]
    is_plain = (
        len(paths) <= _MAX_SLOTS
        and not any(map(_MARKUP.search, literals))
        and not any(_WORDS.intersection(path) for path in paths)
    )
    if not is_plain:
        return None
    return [part for pair in zip_longest(literals, paths) for part in pair if part]


def compile_field(source: str, html: bool) -> FieldRenderer:
    """A function from a context of plain data to text. Both ways give the same text; unknown names render empty.

    Raises RenderError when the source is not a template; the function raises it when a limit is reached.
    """
    plain = _plain(source)
    if plain is None:
        return sandbox.compile_liquid(source, html=html)
    if not any(map(_is_path, plain)):
        return lambda _context: source
    parts = _Parts(plain, html=html)
    pick = parts.picker(plain)
    return lambda context: "".join(pick(parts.of(context)[1]))


def compile_content(channel: str, fields: Mapping[str, str]) -> Program:
    """A function from a context to the channel's finished fields; optional fields that come out empty are left out.

    Raises RenderError for a source that is not a template, and for one that no data could make a field of.
    """
    program = _Program()
    plain: dict[str, list[Part]] = {}
    for name, spec in FIELDS[channel].items():
        source = fields.get(name)
        if not source:
            if spec.required:
                raise RenderError(f"{channel} has no {name}")
        elif (found := _plain(source)) is None:
            program.add_guarded(name, spec, source)
        elif any(map(_is_path, found)):
            plain[name] = found
        else:
            program.add_constant(name, spec, source)
    program.add_plain(FIELDS[channel], plain)
    return program.render


def _is_path(part: Part) -> bool:
    return isinstance(part, tuple)


class _Parts:
    """What plain templates are put together from: the values that a message's data has for their paths, each looked up
    once whichever fields it goes to, and the literals, which are the same for every message."""

    def __init__(self, parts: Iterable[Part], *, html: bool) -> None:
        known = set(parts)
        paths = sorted((part for part in known if isinstance(part, tuple)), key=lambda path: (len(path) > 1, path))
        self._literals = sorted(part for part in known if isinstance(part, str))
        self._place = {part: n for n, part in enumerate([*paths, *self._literals])}
        self._html = html
        self._names = [path[0] for path in paths if len(path) == 1]
        self._pick = _picker(self._names)
        self._deep = [(path[0], path[1:]) for path in paths if len(path) > 1]

    def picker(self, template: Sequence[Part]) -> Callable[[Sequence[str]], tuple[str, ...]]:
        """Takes the parts of this template, in its order, out of all of them."""
        return _picker([self._place[part] for part in template])

    def of(self, context: Context) -> tuple[list[str], list[str], bool]:
        """All parts, the values as text and, where HTML was asked for, escaped; and whether all of these print."""
        values: list[Any]
        try:
            values = [*self._pick(context)]
        except KeyError:
            values = [context.get(name) for name in self._names]
        for root, rest in self._deep:
            value: Any = context.get(root)
            try:
                for segment in rest:
                    value = value[segment]
            except (KeyError, TypeError):
                value = None
            values.append(value)
        texts = [value if type(value) is str else _text(value) for value in values]
        together = "".join(texts)
        parts = texts + self._literals
        escaped = parts
        if self._html and _SPECIAL.search(together):
            escaped = [_escaped(value) for value in values] + self._literals
        return parts, escaped, together.isprintable()


def _picker(keys: Sequence[Any]) -> Callable[[Any], tuple[Any, ...]]:
    """An itemgetter that gives a tuple, also of one or of none."""
    if len(keys) > 1:
        return itemgetter(*keys)
    if not keys:
        return lambda _values: ()
    (key,) = keys
    return lambda values: (values[key],)


def _text(value: object) -> str:
    """As Liquid prints it."""
    return str(value) if type(value) is int else to_liquid_string(value, autoescape=False)


def _escaped(value: object) -> str:
    """As markupsafe does it, for Liquid; the Markup it makes of every text would cost more than the escaping."""
    if type(value) is not str:
        return to_liquid_string(value, autoescape=True)
    text = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace('"', "&#34;").replace("'", "&#39;")


class _Program:
    """The fields of one channel's content, by how much is left to do for each message."""

    def __init__(self) -> None:
        self._constants: dict[str, str] = {}
        self._parts = _Parts([], html=False)
        #: Name, required, HTML, the picker of its parts, the length up to which nothing is left to clean, cleaner.
        self._plain: list[tuple[Any, ...]] = []
        self._guarded: list[tuple[str, bool, FieldRenderer, Callable[[str], str]]] = []

    def add_constant(self, name: str, spec: FieldSpec, text: str) -> None:
        if text := cleaner(name, spec)(text):
            self._constants[name] = text
        elif spec.required:
            raise _empty(name)

    def add_plain(self, specs: Mapping[str, FieldSpec], fields: Mapping[str, list[Part]]) -> None:
        self._parts = _Parts(chain.from_iterable(fields.values()), html=any(specs[name].html for name in fields))
        for name, plain in fields.items():
            spec = specs[name]
            literals = [part for part in plain if isinstance(part, str)]
            limit = spec.max_length if settles(spec, literals) else -1
            pick = self._parts.picker(plain)
            self._plain.append((name, spec.required, spec.html, pick, limit, cleaner(name, spec)))

    def add_guarded(self, name: str, spec: FieldSpec, source: str) -> None:
        try:
            fill = sandbox.compile_liquid(source, html=spec.html)
        except RenderError as error:
            raise RenderError(f"{name}: {error}") from error
        self._guarded.append((name, spec.required, fill, cleaner(name, spec)))

    def render(self, context: Context) -> dict[str, str]:
        content = self._constants.copy()
        parts, escaped, is_printable = self._parts.of(context)
        for name, required, html, pick, limit, clean in self._plain:
            text = "".join(pick(escaped if html else parts)).strip()
            if not is_printable or len(text) > limit:
                text = clean(text)
            if text:
                content[name] = text
            elif required:
                raise _empty(name)
        for name, required, fill, clean in self._guarded:
            text = clean(fill(context))
            if text:
                content[name] = text
            elif required:
                raise _empty(name)
        return content


def _empty(name: str) -> RenderError:
    return RenderError(f"{name} is empty with this data")
