"""Form fields that Django does not have."""

from typing import Any

import orjson
from django import forms
from django.forms.fields import InvalidJSONInput

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
