"""Template text to functions. Plain `{{ a.b }}` templates take a path of their own, an order of magnitude faster.

Of a plain template nothing is left to do for each message but to look up what it names, once for all fields, and to
put that into its text: the rest is checked and cleaned when it is compiled. Values are looked at all together, and one
by one, or the finished text, only where one of them holds a character that needs it.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from liquid.stringify import to_liquid_string

from notifications.errors import RenderError
from notifications.services.rendering import sandbox
from notifications.services.rendering.cleaning import cleaner, settles
from notifications.services.rendering.fields import FIELDS, FieldSpec

Context = Mapping[str, object]
FieldRenderer = Callable[[Context], str]
Program = Callable[[Context], dict[str, str]]
Path = tuple[str, ...]

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


class Plain(NamedTuple):
    """A template of literals with a path between each two."""

    literals: list[str]
    paths: list[Path]


def _plain(source: str) -> Plain | None:
    """None when it takes Liquid to read it."""
    parts = _SLOT.split(source)
    literals, paths = parts[::2], [tuple(name.split(".")) for name in parts[1::2]]
    is_plain = (
        len(paths) <= _MAX_SLOTS
        and not any(map(_MARKUP.search, literals))
        and not any(_WORDS.intersection(path) for path in paths)
    )
    return Plain(literals, paths) if is_plain else None


def compile_field(source: str, html: bool) -> FieldRenderer:
    """A function from a context of plain data to text. Both ways give the same text; unknown names render empty.

    Raises RenderError when the source is not a template; the function raises it when a limit is reached.
    """
    plain = _plain(source)
    if plain is None:
        return sandbox.compile_liquid(source, html=html)
    if not plain.paths:
        return lambda _context: source
    values = _Values(plain.paths, html=html)
    mould, pick = _mould(plain, values)
    return lambda context: mould % pick(values.of(context)[1])


def compile_content(channel: str, fields: Mapping[str, str]) -> Program:
    """A function from a context to the channel's finished fields; optional fields that come out empty are left out.

    Raises RenderError for a source that is not a template, and for one that no data could make a field of.
    """
    program = _Program()
    plain: dict[str, Plain] = {}
    for name, spec in FIELDS[channel].items():
        source = fields.get(name)
        if not source:
            if spec.required:
                raise RenderError(f"{channel} has no {name}")
        elif (found := _plain(source)) is None:
            program.add_guarded(name, spec, source)
        elif found.paths:
            plain[name] = found
        else:
            program.add_constant(name, spec, source)
    program.add_plain(FIELDS[channel], plain)
    return program.render


class _Values:
    """What a message's data has for some paths: each looked up once, whichever fields it goes to."""

    def __init__(self, paths: Iterable[Path], *, html: bool) -> None:
        self.paths = sorted(set(paths), key=lambda path: (len(path) > 1, path))
        self._html = html
        self._names = [path[0] for path in self.paths if len(path) == 1]
        self._pick = _picker(self._names)
        self._deep = [(path[0], path[1:]) for path in self.paths if len(path) > 1]

    def of(self, context: Context) -> tuple[list[str], list[str], bool]:
        """In the order of `paths` as text and, where HTML was asked for, escaped; and whether all are printable."""
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
        escaped = [_escaped(value) for value in values] if self._html and _SPECIAL.search(together) else texts
        return texts, escaped, together.isprintable()


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


def _mould(plain: Plain, values: _Values) -> tuple[str, Callable[[Sequence[str]], tuple[str, ...]]]:
    """A format, and what takes its arguments out of all values."""
    mould = "%s".join(literal.replace("%", "%%") for literal in plain.literals)
    return mould, _picker([values.paths.index(path) for path in plain.paths])


class _Program:
    """The fields of one channel's content, by how much is left to do for each message."""

    def __init__(self) -> None:
        self._constants: dict[str, str] = {}
        self._values = _Values([], html=False)
        #: Name, required, HTML, format, its arguments, the length up to which nothing is left to clean, cleaner.
        self._moulds: list[tuple[Any, ...]] = []
        self._guarded: list[tuple[str, bool, FieldRenderer, Callable[[str], str]]] = []

    def add_constant(self, name: str, spec: FieldSpec, text: str) -> None:
        if text := cleaner(name, spec)(text):
            self._constants[name] = text
        elif spec.required:
            raise _empty(name)

    def add_plain(self, specs: Mapping[str, FieldSpec], fields: Mapping[str, Plain]) -> None:
        paths = (path for plain in fields.values() for path in plain.paths)
        self._values = _Values(paths, html=any(specs[name].html for name in fields))
        for name, plain in fields.items():
            spec = specs[name]
            settled = all(settles(spec, literal) for literal in plain.literals)
            limit = spec.max_length if settled else -1
            self._moulds.append(
                (name, spec.required, spec.html, *_mould(plain, self._values), limit, cleaner(name, spec))
            )

    def add_guarded(self, name: str, spec: FieldSpec, source: str) -> None:
        try:
            fill = sandbox.compile_liquid(source, html=spec.html)
        except RenderError as error:
            raise RenderError(f"{name}: {error}") from error
        self._guarded.append((name, spec.required, fill, cleaner(name, spec)))

    def render(self, context: Context) -> dict[str, str]:
        content = self._constants.copy()
        texts, escaped, is_printable = self._values.of(context)
        for name, required, html, mould, pick, limit, clean in self._moulds:
            text = (mould % pick(escaped if html else texts)).strip()
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
