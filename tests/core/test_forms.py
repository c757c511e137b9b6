"""Objects typed into a form."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from core.forms import ObjectField


def field(**options: Any) -> ObjectField:
    return ObjectField(max_bytes=100, required=False, **options)


@pytest.mark.parametrize(("given", "taken"), [("", {}), ("{}", {}), (' {"a": [1, null]} ', {"a": [1, None]})])
def test_an_object_is_taken(given: str, taken: dict[str, Any]) -> None:
    assert field().clean(given) == taken


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("[]", "must be a JSON object"),
        ("3", "must be a JSON object"),
        ("{", "not valid JSON"),
        ('{"a": NaN}', "not valid JSON"),
        ('{"a": 1e999}', "JSON"),
        ('{"a": "\\u0000"}', "NUL"),
        ('{"a": "\\ud800"}', "surrogate"),
        ('{"a": ' + "[" * 50 + "]" * 50 + "}", "levels"),
        ('{"a": "' + "x" * 100 + '"}', "108 bytes; 100 is the most"),
    ],
)
def test_anything_else_is_told(given: str, says: str) -> None:
    with pytest.raises(ValidationError) as refused:
        field().clean(given)
    assert says in refused.value.messages[0]


def test_what_was_typed_is_shown_again() -> None:
    assert field().prepare_value(field().bound_data('{"a": oops', {})) == '{"a": oops'


def test_nothing_is_shown_as_nothing() -> None:
    assert field().prepare_value(None) == ""
