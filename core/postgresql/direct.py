"""The cursor of the hot path: parameters travel beside the statement, results come in binary.

Django's cursor writes parameters into the statement's text, so that PostgreSQL parses it anew each time, and makes
every id a UUID and every time a datetime of Django's, in Python. For a batch of 500 rows that was a fifth of a worker's
time.
Here ids are `core.ids.Key`, 16 bytes; statements use $1, $2 and a percent sign is just that.
"""

from collections.abc import Iterable
from functools import cache
from typing import Any, Self

import psycopg
from django.db import connection
from django.db.backends.utils import CursorWrapper
from psycopg.abc import Buffer
from psycopg.adapt import AdaptersMap, Dumper
from psycopg.postgres import types
from psycopg.pq import Format
from psycopg.types.string import ByteaBinaryLoader

from core.ids import Key

#: The length of a key, as PostgreSQL's binary formats put it before each value.
KEY_LENGTH = (16).to_bytes(4)
_LOWER_BOUND = (1).to_bytes(4)


def _head(dimensions: int, element: str) -> bytes:
    """Of an array in binary, without nulls."""
    return dimensions.to_bytes(4) + bytes(4) + types[element].oid.to_bytes(4)


_NO_KEYS, _KEYS = _head(0, "uuid"), _head(1, "uuid")
_NO_TEXTS, _TEXTS = _head(0, "text"), _head(1, "text")


class KeyArray(bytes):
    """Keys as a uuid[] parameter of a `DirectCursor`."""

    @classmethod
    def of(cls, keys: Iterable[Key]) -> Self:
        found = list(keys)
        if not found:
            return cls(_NO_KEYS)
        return cls(_KEYS + len(found).to_bytes(4) + _LOWER_BOUND + KEY_LENGTH + KEY_LENGTH.join(found))


class TextArray(bytes):
    """Many strings as a text[] parameter of a `DirectCursor`: a list is looked at string by string, three times."""

    @classmethod
    def of(cls, texts: Iterable[str]) -> Self:
        found = [text.encode() for text in texts]
        if not found:
            return cls(_NO_TEXTS)
        elements = [part for raw in found for part in (len(raw).to_bytes(4), raw)]
        return cls(b"".join((_TEXTS, len(found).to_bytes(4), _LOWER_BOUND, *elements)))


class _KeyArrayDumper(Dumper):
    format = Format.BINARY
    oid = types["uuid"].array_oid

    def dump(self, obj: Buffer) -> Buffer:
        return obj


class _TextArrayDumper(_KeyArrayDumper):
    oid = types["text"].array_oid


class DirectCursor(psycopg.RawCursor[tuple[Any, ...]]):
    """See above. For statements whose shape does not vary: where settings.DATABASE_PREPARE allows it, the server parses
    each once per connection."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        super().__init__(connection)
        self.format = Format.BINARY


@cache
def adapting_keys(context: AdaptersMap) -> AdaptersMap:
    """The same with keys, for connections to be made with. A cursor of Django's does not come by it: it asks for text.
    Registered once here, because a cursor that registers something copies all there is."""
    made = AdaptersMap(context)
    made.register_loader("uuid", ByteaBinaryLoader)
    made.register_dumper(KeyArray, _KeyArrayDumper)
    made.register_dumper(TextArray, _TextArrayDumper)
    return made


def direct_cursor() -> CursorWrapper:
    """One on the default connection, in Django's wrapping: errors, query log and execute wrappers as with any other."""
    wrapped: CursorWrapper = connection.direct_cursor()  # type: ignore[attr-defined]  # of core.postgresql, not Django's
    return wrapped


#: A prepared statement is planned once, for whatever values. Of a table that was empty just then a scan would be
#: thought cheapest, and be kept while the table grew to millions; so scans are out of the question.
_BY_KEY = "-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c jit=off"


def look_up_by_key() -> None:
    """For a process that only ever finds rows through indexes, as workers, relays and fan-outs do: its direct
    statements are planned once per connection. Called before the first connection is made, or it closes those."""
    options = connection.settings_dict["OPTIONS"]
    if options.get("prepare_threshold") is None or _BY_KEY in options["options"]:
        return
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]  # the stubs do not know it
    options["options"] += f" {_BY_KEY}"
