"""Spans of time as people write them: 30s, 5m, 2h, 3d; a number alone is seconds."""

import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminTextInputWidget

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_SPAN = re.compile(r"(\d{1,7})\s*([smhd]?)", re.ASCII)


def seconds(text: str) -> int:
    """Raises ValueError for what is no span."""
    found = _SPAN.fullmatch(text.strip().lower())
    if found is None:
        raise ValueError(text)
    return int(found[1]) * _UNITS[found[2] or "s"]


def written(span: int) -> str:
    """In the largest unit that it is a whole number of."""
    unit = next((unit for unit in "dhm" if span and span % _UNITS[unit] == 0), "s")
    return f"{span // _UNITS[unit]}{unit}"


class SpanField(forms.CharField):
    """A span in seconds, from `least` to `most`; with `zero`, 0 is allowed too and means what the help text says."""

    widget = UnfoldAdminTextInputWidget

    def __init__(self, *, least: int = 0, most: int, zero: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.least, self.most, self.zero = least, most, zero

    def prepare_value(self, value: Any) -> Any:
        return written(value) if isinstance(value, int) else value

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        if not text:
            return None
        try:
            span = seconds(text)
        except ValueError:
            raise ValidationError("Write a span as 30s, 5m, 2h or 3d.") from None
        if not (self.least <= span <= self.most or (self.zero and span == 0)):
            raise ValidationError(f"Between {written(self.least)} and {written(self.most)}.")
        return span

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(initial != self.to_python(data))
        except ValidationError:
            return True
