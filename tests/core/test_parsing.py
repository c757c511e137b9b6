import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.api import parsing, validation
from core.api.parsing import MAX_DEPTH, loads
from core.api.problems import Invalid, MalformedJson, Problem


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


class Note(msgspec.Struct, forbid_unknown_fields=True):
    data: dict[str, Any]
    to: str = "nobody"


_note = msgspec.json.Decoder(Note)

#: JSON that is odd, and what two libraries may make different things of.
ODD = [
    "1", "-0", "-0.0", "1.0", "1E5", "0.1e1", "5e-324", "1e400", "-1e400", "1e-400", "01", "1.", ".5", "+1", "NaN",
    "Infinity", "tru", "9007199254740993.0", "123456789.123456789123456789", "2.2250738585072011e-308",
    "9223372036854775807", "9223372036854775808", "18446744073709551615", "18446744073709551616",
    "-9223372036854775808", "-9223372036854775809", "123456789012345678901234567890", "[123456789012345678901]",
    r'"\ud800"', r'"\udc00\ud800"', r'"\ud83d\ude00"', r'"\u0000"', r'"\\u0000"', '"x\ny"', '"x\x00y"', r'"\x41"',
    r'"\/"', "'x'", "1/**/", "[1,]", "[" * 31 + "]" * 31, "[" * 30 + "]" * 30, "[" * 7 + "]" * 7, "[" * 5000,
    '{"a": {"b": [1, "x", null, true, {}]}}', '{"": 1}', r'{"\u0000": 1}', '{"a": 1, "a": 2}',
]  # fmt: skip


def quick(body: bytes) -> Note | None:
    found = parsing.quickly(body, _note)
    return found if found is not None and parsing.plain(found.data.values()) else None


def careful(body: bytes) -> Note | None:
    try:
        return validation.read(parsing.loads(body), Note)
    except Problem:
        return None


def same(body: bytes) -> bool:
    """What the quick way takes, the careful one takes as well and makes the same of it."""
    found = quick(body)
    return found is None or repr(found) == repr(careful(body))


@pytest.mark.parametrize("value", ODD)
def test_the_quick_way_takes_nothing_else_than_the_careful_one(value: str) -> None:
    for body in (f'{{"data": {{"a": {value}}}}}', f'{{"data": {{}}, "data": {value}}}', f'{{"data": {{}}}}{value}'):
        assert same(body.encode())


@pytest.mark.parametrize("raw", [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xef\xbb\xbf"])
def test_nor_bytes_that_are_no_text(raw: bytes) -> None:
    assert quick(b'{"data": {"a": "' + raw + b'"}}') == careful(b'{"data": {"a": "' + raw + b'"}}')
    assert same(raw + b'{"data": {}}')


_SCALARS = st.none() | st.booleans() | st.floats() | st.integers() | st.text()


@given(st.dictionaries(st.text(), st.recursive(_SCALARS, st.lists)))
def test_nor_makes_it_anything_else_of_what_it_takes(data: dict[str, Any]) -> None:
    assert same(json.dumps({"data": data}).encode())


@given(st.binary())
def test_nor_stumbles_over_anything(body: bytes) -> None:
    assert same(body)


def test_ordinary_calls_go_the_quick_way() -> None:
    assert quick(b'{"to": "ann", "data": {"order": "A-1", "n": 3, "ok": true, "items": [{"sku": "x", "n": 1.5}]}}')
