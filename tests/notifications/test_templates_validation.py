"""What blocks a publication, and where the author is told to look."""

from typing import Any

import pytest

from notifications.services.rendering import FIELDS, validate_template

GOOD: dict[str, Any] = {
    "en": {
        "email": {
            "subject": "Order {{ id }}",
            "preheader": "It left",
            "text": "Hi {{ name }}",
            "html": "<p>{% if name %}Hi {{ name }}{% endif %}</p>",
        },
        "push": {"title": "t", "body": "b", "image": "https://example.com/{{ id }}.png", "link": "/orders/{{ id }}"},
        "sms": {"body": "Order {{ id }}"},
        "in_app": {"title": "t", "body": "", "icon": "📦"},
    },
    "pt-BR": {"sms": {"body": "Pedido {{ id }}"}},
}


def codes(content: object) -> dict[str, str]:
    return {error.pointer: error.code for error in validate_template(content)}


def test_good_content_has_no_errors() -> None:
    assert validate_template(GOOD) == []


@pytest.mark.parametrize("channel", list(FIELDS))
def test_every_required_field_is_asked_for(channel: str) -> None:
    required = {f"/content/en/{channel}/{name}" for name, spec in FIELDS[channel].items() if spec.required}

    assert set(codes({"en": {channel: {}}})) == required


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, {"/content": "invalid"}),
        ({}, {"/content": "invalid"}),
        ({f"e{chr(97 + n // 26)}{chr(97 + n % 26)}": {} for n in range(51)}, {"/content": "too_many"}),
        ({"english please": {}}, {"/content/english please": "invalid"}),
        ({"en": []}, {"/content/en": "invalid"}),
        ({"en": {"fax": {}}}, {"/content/en/fax": "unknown_channel"}),
        ({"en": {"sms": "x"}}, {"/content/en/sms": "invalid"}),
        ({"en": {"sms": {"body": "x", "text": "y"}}}, {"/content/en/sms/text": "unknown_field"}),
        ({"en": {"sms": {"body": ["x"]}}}, {"/content/en/sms/body": "invalid"}),
        ({"en": {"sms": {"body": "{% for %}"}}}, {"/content/en/sms/body": "syntax"}),
        ({"en": {"sms": {"body": "{{ x | shout }}"}}}, {"/content/en/sms/body": "syntax"}),
        ({"en": {"sms": {"body": "x" * 8_001}}}, {"/content/en/sms/body": "too_long"}),
        ({"en": {"sms": {"body": "x" * 1_531}}}, {"/content/en/sms/body": "invalid"}),
        ({"en": {"email": {"subject": "a\nBcc: x", "text": "x"}}}, {"/content/en/email/subject": "invalid"}),
        ({"en": {"in_app": {"title": "t", "link": "javascript:x"}}}, {"/content/en/in_app/link": "invalid"}),
        ({"en": {"in_app": {"title": "t", "link": "javascript:{{ x }}"}}}, {"/content/en/in_app/link": "invalid"}),
        ({"en": {"sms": {"body": "a\x00b"}}}, {"/content/en/sms/body": "invalid"}),
    ],
)
def test_each_mistake_is_pointed_at(content: object, expected: dict[str, str]) -> None:
    assert codes(content) == expected


def test_a_filter_that_is_not_there_is_named() -> None:
    (error,) = validate_template({"en": {"sms": {"body": "one\n{{ x | shout }}"}}})

    assert error.message == "line 2: there is no filter 'shout'"
