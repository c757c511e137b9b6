"""Template text to functions. Plain `{{ a.b }}` templates take a path of their own, an order of magnitude faster."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from liquid.stringify import to_liquid_string
from markupsafe import escape

from notifications.errors import RenderError
from notifications.services.rendering import sandbox
from notifications.services.rendering.cleaning import cleaner
from notifications.services.rendering.fields import FIELDS

Context = Mapping[str, object]
FieldRenderer = Callable[[Context], str]
Program = Callable[[Context], dict[str, str]]

_SLOT = re.compile(r"\{\{[ \n\t\r]*([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)[ \n\t\r]*\}\}")
#: In the text between slots: a sign of Liquid, or a brace that touches a slot and might belong to it.
_MARKUP = re.compile(r"\{\{|\}\}|\{%|%\}|^\}|\{\Z")
#: Words that mean something else to Liquid than the name of a variable, and properties it makes up.
_LITERALS = {"true", "false", "nil", "null", "empty", "blank", "size", "first", "last"}
_WORDS = _LITERALS | {"and", "or", "contains", "not", "in", "with", "for", "as", "if", "else"}
_WORDS |= {"offset", "limit", "reversed", "cols", "continue", "required"}
#: More slots than this go the guarded way: each may be as long as the data.
_MAX_SLOTS = 64


def compile_field(source: str, html: bool) -> FieldRenderer:
    """A function from a context of plain data to text. Both ways give the same text; unknown names render empty.

    Raises RenderError when the source is not a template; the function raises it when a limit is reached.
    """
    parts = _SLOT.split(source)
    literals, names = parts[::2], [tuple(name.split(".")) for name in parts[1::2]]
    plain = (
        len(names) <= _MAX_SLOTS
        and not any(map(_MARKUP.search, literals))
        and not any(_WORDS.intersection(name) for name in names)
    )
    if not plain:
        return sandbox.compile_liquid(source, html=html)
    if not names:
        return lambda _context: source
    return _plain(literals, names, html=html)


def _plain(literals: list[str], names: list[tuple[str, ...]], *, html: bool) -> FieldRenderer:
    """The fast path: look up, stringify as Liquid does, join."""
    slots = [(literal, name[0], name[1:]) for literal, name in zip(literals, names, strict=False)]
    tail = literals[-1]

    def render(context: Context) -> str:
        out: list[str] = []
        for literal, root, rest in slots:
            value: Any = context.get(root)
            for segment in rest:
                try:
                    value = value[segment]
                except (KeyError, TypeError):
                    value = None
                    break
            if type(value) is not str:
                value = "" if value is None else to_liquid_string(value, html)
            elif html:
                value = escape(value)
            out += (literal, value)
        out.append(tail)
        return "".join(out)

    return render


def compile_content(channel: str, fields: Mapping[str, str]) -> Program:
    """A function from a context to the channel's finished fields; optional fields that come out empty are left out.

    Raises RenderError for a source that is not a template.
    """
    steps = []
    for name, spec in FIELDS[channel].items():
        if source := fields.get(name):
            try:
                fill = compile_field(source, spec.html)
            except RenderError as error:
                raise RenderError(f"{name}: {error}") from error
            steps.append((name, spec.required, fill, cleaner(name, spec)))
        elif spec.required:
            raise RenderError(f"{channel} has no {name}")

    def render(context: Context) -> dict[str, str]:
        content: dict[str, str] = {}
        for name, required, fill, clean in steps:
            text = clean(fill(context))
            if text:
                content[name] = text
            elif required:
                raise RenderError(f"{name} is empty with this data")
        return content

    return render
