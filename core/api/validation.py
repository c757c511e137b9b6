"""From a parsed document to typed values, with a pointer for everything that is wrong.

The way that is nearly always taken is one call of msgspec for the whole body. Only when that refuses is the document
looked at again, field by field, so that an answer names every fault and not just the first.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from core.api.problems import FieldProblem, Invalid, pointer

Shape = TypeVar("Shape", bound=msgspec.Struct)

_PATH = re.compile(r" - at `(?:key in )?\$(?P<path>[^`]*)`$")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")
#: What msgspec's messages begin with -> our stable word for it. The first match decides.
_CODES = (
    ("Object missing", "required"),
    ("Object contains unknown", "unknown_field"),
    ("Expected `datetime` with a timezone", "naive"),
    ("Expected `str` matching", "invalid"),
    (re.compile(r"Expected `\w+` of length"), "length"),
    (re.compile(r"Expected `\w+` [<>]"), "range"),
    ("Expected", "type"),
)
_REWORDED = (
    ("Expected `datetime` with a timezone component", "Give the time with its offset, as in 2027-01-31T09:00:00Z"),
    ("Invalid RFC3339 encoded datetime", "This is not a time, as in 2027-01-31T09:00:00Z"),
    ("Invalid enum value", "Not one of the values allowed here:"),
    ("`str`", "`string`"),
)


def read(document: Any, shape: type[Shape]) -> Shape:
    """The document as `shape`; raises Invalid."""
    try:
        return msgspec.convert(document, shape)
    except msgspec.ValidationError:
        raise Invalid(list(_object_faults(document, shape, ()))) from None


def read_list(document: Any, name: str, shape: type[Shape], *, at_most: int, at_least: int = 1) -> list[Shape]:
    """The items of `{name: [...]}`, within bounds; raises Invalid with `/name/<index>/...` per fault."""
    if not isinstance(document, dict):
        raise Invalid([_not_an_object((), document)])
    if faults := [_unknown((), other) for other in document if other != name]:
        raise Invalid(faults)
    items = document.get(name)
    if not isinstance(items, list):
        raise Invalid([FieldProblem(pointer(name), "required", f"`{name}` must be an array.")])
    if not at_least <= len(items) <= at_most:
        code = "empty" if not items else "too_many"
        raise Invalid(
            [
                FieldProblem(
                    pointer(name), code, f"`{name}` takes {at_least} to {at_most} items; there are {len(items)}."
                )
            ]
        )
    return _read_items(items, name, shape)


def _read_items(items: Sequence[Any], name: str, shape: type[Shape]) -> list[Shape]:
    """Each item as `shape`; raises Invalid with every item's faults."""
    try:
        return msgspec.convert(items, list[shape])  # type: ignore[valid-type]  # a type made at run time
    except msgspec.ValidationError:
        faults = [fault for index, item in enumerate(items) for fault in _object_faults(item, shape, (name, index))]
        raise Invalid(faults) from None


def read_query(given: Mapping[str, str], shape: type[Shape], *, besides: Collection[str] = ()) -> Shape:
    """Query parameters as `shape`, except those named in `besides`; raises Invalid. An unknown one is a fault: a
    misspelt filter must not look like one that matches everything."""
    document = {name: given[name] for name in given if name not in besides}
    try:
        return msgspec.convert(document, shape, strict=False)
    except msgspec.ValidationError:
        faults = _object_faults(document, shape, (), strict=False)
        raise Invalid(
            [
                FieldProblem("", fault.code, fault.detail.replace("field", "parameter"), parameter=fault.pointer[1:])
                for fault in faults
            ]
        ) from None


def _object_faults(
    value: Any, shape: type[msgspec.Struct], at: tuple[str | int, ...], *, strict: bool = True
) -> Iterator[FieldProblem]:
    if not isinstance(value, dict):
        yield _not_an_object(at, value)
        return
    fields = {field.encode_name: field for field in msgspec.structs.fields(shape)}
    for name in value:
        if name not in fields:
            yield _unknown(at, name)
    for name, field in fields.items():
        if name in value:
            yield from _value_faults(value[name], field.type, (*at, name), strict)
        elif field.required:
            yield FieldProblem(pointer(*at, name), "required", f"`{name}` is required.")


def _value_faults(value: Any, type_: Any, at: tuple[str | int, ...], strict: bool) -> Iterator[FieldProblem]:
    try:
        msgspec.convert(value, type_, strict=strict)
    except msgspec.ValidationError as error:
        yield _fault(str(error), at)


def _fault(message: str, at: tuple[str | int, ...]) -> FieldProblem:
    """msgspec's message, its path turned into the rest of the pointer."""
    found = _PATH.search(message)
    below: list[str | int] = []
    if found:
        message = message[: found.start()]
        below = [name or int(index) for name, index in _STEP.findall(found["path"])]
    code = next((code for start, code in _CODES if _begins(message, start)), "invalid")
    for theirs, ours in _REWORDED:
        message = message.replace(theirs, ours)
    return FieldProblem(pointer(*at, *below), code, f"{message[:200]}.")


def _begins(message: str, start: str | re.Pattern[str]) -> bool:
    return message.startswith(start) if isinstance(start, str) else start.match(message) is not None


def _unknown(at: tuple[str | int, ...], name: str) -> FieldProblem:
    return FieldProblem(pointer(*at, name[:100]), "unknown_field", "There is no such field.")


def _not_an_object(at: tuple[str | int, ...], value: Any) -> FieldProblem:
    return FieldProblem(pointer(*at), "type", "An object is expected here.")
