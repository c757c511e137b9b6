"""JSON objects of callers: of plain values, bounded, and of text that PostgreSQL can hold."""

from collections.abc import Mapping

import orjson

from notifications.drafts import MAX_JSON_BYTES
from notifications.errors import FieldError


def checked_json(name: str, value: object, errors: list[FieldError]) -> bytes | None:
    """The object as JSON, the same bytes for equal objects; None when it is none that can be stored, with the reason
    added to `errors`."""
    if not isinstance(value, Mapping):
        errors.append(FieldError(f"/{name}", "invalid", "Must be an object."))
        return None
    try:
        raw = dumps(value)
    except (TypeError, ValueError):
        message = "Must be an object of plain JSON values with valid Unicode text."
        errors.append(FieldError(f"/{name}", "invalid", message))
        return None
    if len(raw) > MAX_JSON_BYTES:
        errors.append(FieldError(f"/{name}", "too_large", f"At most {MAX_JSON_BYTES} bytes as JSON."))
        return None
    if rb"\u0000" in raw and _has_nul(value):  # a backslash before it makes it six harmless characters
        errors.append(FieldError(f"/{name}", "invalid", "NUL characters cannot be stored."))
        return None
    return raw


def dumps(value: Mapping[str, object]) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _has_nul(value: object) -> bool:
    """Whether a string in it, names included, has a NUL character."""
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, Mapping):
        return any(_has_nul(name) or _has_nul(inner) for name, inner in value.items())
    if isinstance(value, list | tuple):
        return any(_has_nul(inner) for inner in value)
    return False
