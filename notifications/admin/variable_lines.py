"""A template's variables as people write them: a line each, `order.id = A-1001`.

A sample is text as it stands; what reads as JSON is what it is: 3, true, "3" (the text), [{"name": "Socks"}] (a list).
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminTextareaWidget

from notifications.drafts import MAX_JSON_BYTES
from notifications.services.template_variables import variable_faults

_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
#: Deeper than any data that a person describes.
_MAX_DEPTH = 10


class VariablesField(forms.CharField):
    """Its value is the object of samples by name. A fault names its line."""

    def __init__(self, **options: Any) -> None:
        widget = UnfoldAdminTextareaWidget(attrs={"rows": 6, "class": "cr-code", "spellcheck": "false"})
        super().__init__(**{"required": False, "max_length": MAX_JSON_BYTES, "widget": widget, **options})

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(lines(value)) if isinstance(value, Mapping) else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(super().has_changed(self.prepare_value(initial), data))

    def clean(self, value: Any) -> dict[str, Any]:
        text = super().clean(value)
        variables = parsed(text)
        if faults := variable_faults(variables):
            raise ValidationError([fault.message for fault in faults])
        return variables


def lines(variables: Mapping[str, Any]) -> Iterator[str]:
    """What `parsed` reads back."""
    for name, value in variables.items():
        yield from _lines(name, value)


def parsed(text: str) -> dict[str, Any]:
    """The object that the lines describe. Raises ValidationError that names the line."""
    variables: dict[str, Any] = {}
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        if not line.strip():
            continue
        path, separator, sample = (part.strip() for part in line.partition("="))
        if not separator or not _PATH.fullmatch(path):
            raise ValidationError(f"Line {number}: write a name, = and a sample, for example order.id = A-1001.")
        if path.count(".") >= _MAX_DEPTH:
            raise ValidationError(f"Line {number}: at most {_MAX_DEPTH} names deep.")
        if not _put(variables, path.split("."), _value(sample)):
            raise ValidationError(
                f"Line {number}: {path} is there twice, or one of its names stands for a value already."
            )
    return variables


def _lines(path: str, value: Any) -> Iterator[str]:
    if isinstance(value, Mapping) and value and path.count(".") < _MAX_DEPTH - 1 and all(map(_NAME.fullmatch, value)):
        for name, inner in value.items():
            yield from _lines(f"{path}.{name}", inner)
    else:
        is_plain = isinstance(value, str) and _value(value) == value and value == value.strip() and value.isprintable()
        yield f"{path} = {value if is_plain else json.dumps(value, ensure_ascii=False)}"


def _value(sample: str) -> Any:
    try:
        return json.loads(sample, parse_constant=lambda _: sample)
    except (ValueError, RecursionError):
        return sample


def _put(variables: dict[str, Any], path: list[str], value: Any) -> bool:
    """Whether there was room for it."""
    *parents, name = path
    for parent in parents:
        inner = variables.setdefault(parent, {})
        if not isinstance(inner, dict):
            return False
        variables = inner
    if name in variables:
        return False
    variables[name] = value
    return True
