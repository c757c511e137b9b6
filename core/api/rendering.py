"""JSON out, by orjson: UUIDs, aware datetimes (RFC 3339, UTC as Z), enums and dataclasses as they are."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec
import orjson
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS


def dumps(data: object) -> bytes:
    """Serialise to UTF-8 JSON; a msgspec struct becomes an object, what JSON has no word for (a lazy string) a string.

    orjson stops at 64-bit integers; a JSONB document from elsewhere may hold longer ones, and those take the slow road.
    """
    try:
        return orjson.dumps(data, default=_plain, option=_OPTIONS)
    except TypeError:
        return json.dumps(data, default=_plain, ensure_ascii=False).encode()


def _plain(value: object) -> object:
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.asdict(value)
    if isinstance(value, datetime):  # on the slow road alone, and then as on the quick one
        return value.isoformat().replace("+00:00", "Z")
    return str(value)


def base_type(content_type: str | None) -> str:
    """A media type without its parameters."""
    return (content_type or "").partition(";")[0].strip().lower()


class OrjsonRenderer(BaseRenderer):
    """`application/json` for every answer of the API. A msgspec.Raw is one already."""

    media_type = "application/json"
    format = "json"
    charset = None  # JSON is UTF-8 (RFC 8259); a charset parameter has no meaning

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        if isinstance(data, msgspec.Raw):
            return bytes(data)
        return b"" if data is None else dumps(data)


class AlwaysJson(BaseContentNegotiation):
    """The answer is JSON whatever `Accept` says: there is nothing to choose between, and a 406 helps nobody."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        base = base_type(request.content_type)
        return next((parser for parser in parsers if parser.media_type == base), None)

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        renderer = next(iter(renderers))
        return renderer, renderer.media_type
