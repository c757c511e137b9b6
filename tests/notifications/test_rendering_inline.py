"""Literal content from callers: both forms become fields by channel, and each mistake is pointed at."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.errors import ContentInvalid
from notifications.services.rendering import FIELDS, normalise_inline


def errors(content: object) -> dict[str, str]:
    with pytest.raises(ContentInvalid) as caught:
        normalise_inline(content)
    return {error.pointer: error.code for error in caught.value.errors}


def test_one_wording_becomes_every_channel() -> None:
    content = normalise_inline({"title": "Shipped", "body": "On its way.", "link": "https://example.com/1"})

    assert content == {
        "push": {"title": "Shipped", "body": "On its way.", "link": "https://example.com/1"},
        "email": {"subject": "Shipped", "text": "On its way.\n\nhttps://example.com/1"},
        "sms": {"body": "On its way. https://example.com/1"},
        "in_app": {"title": "Shipped", "body": "On its way.", "link": "https://example.com/1"},
    }
    assert set(content) == set(FIELDS)


def test_one_wording_does_without_a_link() -> None:
    content = normalise_inline({"title": "T", "body": "B"})

    assert content["sms"] == {"body": "B"}
    assert "link" not in content["push"]


def test_the_longest_wording_fits_every_channel() -> None:
    link = "https://example.com/" + "a" * 480
    content = normalise_inline({"title": "t" * 200, "body": "b" * 1_000, "link": link})

    for channel, fields in content.items():
        for name, text in fields.items():
            assert len(text) <= FIELDS[channel][name].max_length


def test_content_by_channel_stays_by_channel_and_is_cleaned() -> None:
    content = normalise_inline({"email": {"subject": " Hi ", "text": "a\r\nb", "html": None}, "sms": {"body": "x"}})

    assert content == {"email": {"subject": "Hi", "text": "a\nb"}, "sms": {"body": "x"}}


def test_literal_content_is_no_template() -> None:
    assert normalise_inline({"sms": {"body": "{{ name }} 100%"}})["sms"]["body"] == "{{ name }} 100%"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, {"/content": "invalid"}),
        ([], {"/content": "invalid"}),
        ({}, {"/content": "invalid"}),
        ({"fax": {"body": "x"}}, {"/content/fax": "unknown_channel"}),
        ({"a/b~c": {}}, {"/content/a~1b~0c": "unknown_channel"}),
        ({"sms": "x"}, {"/content/sms": "invalid"}),
        ({"sms": {}}, {"/content/sms/body": "required"}),
        ({"sms": {"body": "  "}}, {"/content/sms/body": "required"}),
        ({"sms": {"body": 5}}, {"/content/sms/body": "invalid"}),
        ({"sms": {"body": "x", "title": "y"}}, {"/content/sms/title": "unknown_field"}),
        ({"sms": {"body": "x" * 1_531}}, {"/content/sms/body": "too_long"}),
        ({"email": {"subject": "a\r\nBcc: b@c.de", "text": "x"}}, {"/content/email/subject": "invalid"}),
        ({"email": {"subject": "s"}}, {"/content/email/text": "required"}),
        ({"in_app": {"title": "t", "link": "javascript:alert(1)"}}, {"/content/in_app/link": "invalid"}),
        ({"title": "T"}, {"/content/body": "required"}),
        ({"title": "T", "body": "B", "sms": {"body": "x"}}, {"/content/sms": "unknown_field"}),
        ({"title": "T\n", "body": "B"}, {"/content/title": "invalid"}),
    ],
)
def test_each_mistake_is_pointed_at(content: object, expected: dict[str, str]) -> None:
    assert errors(content) == expected


def test_every_mistake_is_told_at_once() -> None:
    assert set(errors({"sms": {}, "push": {"title": "t"}, "fax": {}})) == {
        "/content/sms/body",
        "/content/push/body",
        "/content/fax",
    }


def test_an_error_names_what_is_allowed() -> None:
    with pytest.raises(ContentInvalid) as caught:
        normalise_inline({"sms": {"body": "x", "text": "y"}})

    assert caught.value.errors[0].message == "There is no such field. Known: body."


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(["email", "sms", "push", "in_app", "title", "body", "link", "subject", "text"])


@given(JSON | st.dictionaries(NAMES, JSON | st.dictionaries(NAMES, JSON, max_size=4), max_size=4))
def test_any_json_is_accepted_or_answered(content: object) -> None:
    try:
        result = normalise_inline(content)
    except ContentInvalid as error:
        wrong = [e.pointer for e in error.errors if not e.pointer.startswith("/content")]
    else:
        wrong = [
            name
            for channel, fields in result.items()
            for name, spec in FIELDS[channel].items()
            if spec.required and not fields[name]
        ]
    assert wrong == []
