"""Form fields that Django does not have."""

from typing import Any

import orjson
from django import forms
from django.forms.fields import InvalidJSONInput
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget

from core.api.parsing import loads
from core.api.problems import Invalid, MalformedJson


class ObjectField(forms.JSONField):
    """A JSON object by the API's own rules: no NUL, no lone surrogates, no bottomless nesting, no more than
    `max_bytes`. Shown again as it was typed; nothing typed is an empty object."""

    def __init__(self, *, max_bytes: int, **options: Any) -> None:
        super().__init__(**options)
        self.max_bytes = max_bytes

    def to_python(self, value: Any) -> Any:
        if value in self.empty_values:
            return {}
        found = _parsed(value) if isinstance(value, str) else super().to_python(value)
        if not isinstance(found, dict):
            raise forms.ValidationError('This must be a JSON object, for example {"percent": 20}.')
        size = len(orjson.dumps(found))
        if size > self.max_bytes:
            raise forms.ValidationError(f"{size:,} bytes; {self.max_bytes:,} is the most.")
        return found

    def prepare_value(self, value: Any) -> Any:
        return "" if value is None else super().prepare_value(value)

    def bound_data(self, data: Any, initial: Any) -> Any:
        return InvalidJSONInput(data)


def _parsed(text: str) -> Any:
    try:
        return loads(text.encode(errors="surrogatepass"))
    except Invalid as error:
        problems: Any = error.extra["errors"]
        raise forms.ValidationError(problems[0]["detail"]) from None
    except MalformedJson as error:
        raise forms.ValidationError(f"This is not valid JSON: {error.detail}.") from None


#: Seconds of each unit, largest first.
UNITS = {86_400: "days", 3600: "hours", 60: "minutes", 1: "seconds"}


def number_and_unit(seconds: int) -> tuple[int, int]:
    """Seconds as one would say them: 600 is (10, 60), for 10 minutes."""
    unit = next(unit for unit in UNITS if seconds % unit == 0)
    return (seconds // unit, unit) if seconds else (0, 60)


class SpanWidget(forms.MultiWidget):
    """A number and its unit, side by side."""

    def __init__(self, label: str) -> None:
        number = UnfoldAdminIntegerFieldWidget(attrs={"min": 0, "aria-label": label})
        unit = UnfoldAdminSelectWidget(choices=list(UNITS.items()), attrs={"aria-label": f"{label}, unit"})
        super().__init__([number, unit])

    def decompress(self, value: Any) -> list[Any]:
        return [None, 60] if value is None else list(number_and_unit(int(value)))

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        self.attrs.pop("x-model.fill", None)  # unfold's forms bind one value to a field, and these are two
        return super().get_context(name, value, attrs)

    def render(self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None) -> SafeString:
        return format_html('<div class="cr-span-field">{}</div>', super().render(name, value, attrs, renderer))


class SpanField(forms.MultiValueField):
    """A span of time, typed as a number and a unit, and cleaned to seconds; None where nothing is typed."""

    def __init__(self, *, least: int, most: int, label: str, **options: Any) -> None:
        number = forms.IntegerField(min_value=0, required=False)
        unit = forms.TypedChoiceField(choices=list(UNITS.items()), coerce=int, required=False)
        super().__init__(
            [number, unit], label=label, widget=SpanWidget(label), **{"require_all_fields": False, **options}
        )
        self.least, self.most = least, most

    def compress(self, data_list: list[Any]) -> int | None:
        if not data_list or data_list[0] is None:
            return None
        return int(data_list[0]) * int(data_list[1] or 60)

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.clean(data) != initial)
        except forms.ValidationError:
            return True

    def clean(self, value: Any) -> int | None:
        seconds: int | None = super().clean(value)
        if seconds is not None and not self.least <= seconds <= self.most:
            raise forms.ValidationError(f"From {in_words(self.least)} to {in_words(self.most)}.")
        return seconds


def in_words(seconds: int) -> str:
    number, unit = number_and_unit(seconds)
    name = UNITS[unit]
    return f"{number:,} {name.removesuffix('s') if number == 1 else name}"
