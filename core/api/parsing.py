"""JSON in, by orjson, and nothing that PostgreSQL or a renderer would choke on later.

Refused here, so that no view has to think of it: bytes that are not UTF-8 JSON, NaN and infinities (orjson does these),
lone surrogates (they have no UTF-8), NUL characters (a PostgreSQL text cannot hold one), and documents deeper than
MAX_DEPTH. What is JSON and still cannot be taken is 422 with a pointer, what is no JSON is 400.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any, NoReturn, TypeVar

import msgspec
import orjson
from django.conf import settings
from rest_framework.parsers import BaseParser

from core.api.problems import BodyTooLarge, FieldProblem, Invalid, MalformedJson, Problem, pointer

#: Levels of objects and arrays in a request. The deepest document the API has a use for is about ten.
MAX_DEPTH = 32
_TOO_DEEP = f"At most {MAX_DEPTH} levels of objects and arrays are taken."
_SURROGATE = re.compile(r"[\ud800-\udfff]")
#: What free-form values of most requests are made of: nothing that could be deep, or larger than an integer may be.
_SIMPLE = frozenset({str, float, bool, type(None)})
#: Levels that `plain` looks at.
_PLAIN_LEVELS = 8

Shape = TypeVar("Shape")


class OrjsonParser(BaseParser):
    """`application/json` for every request of the API.

    Raises BodyTooLarge (413), MalformedJson (400), or Invalid (422) with a pointer to the value that cannot be taken.
    """

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        body = stream.read(settings.API_MAX_BODY_BYTES + 1)
        if len(body) > settings.API_MAX_BODY_BYTES:
            raise BodyTooLarge()
        return loads(body)


def loads(body: bytes) -> Any:
    """Parse one document; raises MalformedJson or Invalid."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _refusal(body, error) from None
    if not _harmless(document, suspect=b"\\u0000" in body):
        raise Invalid(list(_complaints(document)))
    return document


def quickly(body: bytes, decoder: "msgspec.json.Decoder[Shape]") -> Shape | None:
    """The document straight from its bytes, in a third of the time of `loads` and a conversion; None when it has to go
    that way after all: something is wrong with it, or may be. Who takes the answer asks `plain` of every free-form
    value in it. What passes both is the same by either way."""
    if b"\\u0000" in body:
        return None
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def plain(values: Iterable[Any], levels: int = _PLAIN_LEVELS) -> bool:
    """Whether these, and all that is in them, are surely not too deep, and no integer of more than 64 bits, of which
    `loads` makes a float."""
    kinds = set(map(type, values))
    if kinds <= _SIMPLE:
        return True
    for value in values:
        kind = type(value)
        if kind is int:
            if not -(2**63) <= value < 2**64:
                return False
        elif kind is dict or kind is list:
            if not levels or not plain(value.values() if kind is dict else value, levels - 1):
                return False
        elif kind not in _SIMPLE:
            return False
    return True


def _refusal(body: bytes, error: orjson.JSONDecodeError) -> Problem:
    """orjson stops at the first fault and says neither which value it was nor whether the rest is JSON; the library's
    parser takes surrogates and so finds their places. Only ever for a body that is refused."""
    try:
        document = json.loads(body.decode("utf-8", "surrogatepass"), parse_constant=_no_constant)
    except RecursionError:
        return Invalid([FieldProblem("", "too_deep", _TOO_DEEP)])
    except ValueError:
        document = None
    if complaints := list(_complaints(document)):
        return Invalid(complaints)
    return MalformedJson(f"{error.msg}, line {error.lineno} column {error.colno}")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON.")


def _harmless(document: Any, *, suspect: bool) -> bool:
    """Whether the document can be taken. Visits containers level by level; strings only when the bytes look suspect."""
    level = [document] if isinstance(document, dict | list) else []
    if not level:
        return next(_complaints(document), None) is None
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for container in level:
            values = container.values() if isinstance(container, dict) else container
            for value in values:
                kind = type(value)
                if kind is dict or kind is list:
                    below.append(value)
                elif suspect and kind is str and "\x00" in value:
                    return False
            if suspect and isinstance(container, dict) and any("\x00" in name for name in container):
                return False
        if not below:
            return True
        level = below
    return False


def _complaints(value: Any, parts: tuple[str | int, ...] = ()) -> Iterator[FieldProblem]:
    """What cannot be taken and where; the slow walk, only after the quick one said no."""
    if len(parts) > MAX_DEPTH or (len(parts) == MAX_DEPTH and isinstance(value, dict | list)):
        yield FieldProblem(pointer(*parts), "too_deep", _TOO_DEEP)
    elif isinstance(value, str):
        if fault := _fault_of(value):
            yield FieldProblem(pointer(*parts), *fault)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if fault := _fault_of(name):
                yield FieldProblem(pointer(*parts), fault[0], f"In a name: {fault[1]}")
            yield from _complaints(inner, (*parts, _SURROGATE.sub("\ufffd", name)))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _complaints(inner, (*parts, index))


def _fault_of(text: str) -> tuple[str, str] | None:
    """What PostgreSQL or UTF-8 could not hold, as (code, detail)."""
    if "\x00" in text:
        return "nul_character", "A NUL character cannot be stored."
    if _SURROGATE.search(text):
        return "lone_surrogate", "Half a surrogate pair is not Unicode text."
    return None
