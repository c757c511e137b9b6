import pytest

from core.api.parsing import MAX_DEPTH, loads
from core.api.problems import Invalid, MalformedJson


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nul",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": 1e999}',
        b'{"\xff": 1}',
        b'{"a": "raw \x00 byte"}',
    ],
)
def test_what_is_not_json_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedJson):
        loads(body)


def test_a_nul_character_is_refused_where_it_stands() -> None:
    with pytest.raises(Invalid) as refused:
        loads(b'{"data": {"list": [1, "a\\u0000b"]}, "na\\u0000me": 1}')

    errors = refused.value.extra["errors"]
    assert [(error["pointer"], error["code"]) for error in errors] == [
        ("/data/list/1", "nul_character"),
        ("", "nul_character"),
    ]


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        (b'"\\ud800"', [""]),
        (b'{"a": ["x", "\\udfff\\ud800"]}', ["/a/1"]),
        (b'{"a": "\xed\xa0\x80"}', ["/a"]),
        (b'{"\\uD83D": "\\uDE00"}', ["", "/\ufffd"]),
    ],
)
def test_half_a_surrogate_pair_is_refused_where_it_stands(body: bytes, pointers: list[str]) -> None:
    with pytest.raises(Invalid) as refused:
        loads(body)

    errors = refused.value.extra["errors"]
    assert [error["pointer"] for error in errors] == pointers
    assert {error["code"] for error in errors} == {"lone_surrogate"}


def test_a_whole_surrogate_pair_is_a_character() -> None:
    assert loads(b'"\\ud83d\\ude00"') == "\U0001f600"


def test_a_document_too_deep_for_any_parser_is_too_deep() -> None:
    with pytest.raises(Invalid) as refused:
        loads(b"[" * 100_000 + b"]" * 100_000)

    assert refused.value.extra["errors"][0]["code"] == "too_deep"


def test_the_text_of_an_escape_is_no_nul_character() -> None:
    assert loads(b'{"a": "C:\\\\u0000"}') == {"a": "C:\\u0000"}


def test_depth_is_bounded_at_the_limit() -> None:
    at_limit = b'{"a":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH
    beyond = b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1)

    assert loads(at_limit)
    with pytest.raises(Invalid) as refused:
        loads(beyond)
    assert refused.value.extra["errors"] == [
        {
            "pointer": "/a" * MAX_DEPTH,
            "code": "too_deep",
            "detail": f"At most {MAX_DEPTH} levels of objects and arrays are taken.",
        }
    ]
