"""Pages by key, newest first or by name, without a COUNT and without OFFSET: page 10,000 costs what page 1 costs.

An answer is `{"results": [...], "next_cursor": "..." | null}`; the next page is asked for with `?cursor=...`.
"""

import base64
import binascii
from dataclasses import dataclass
from typing import TypeVar

from django.core.exceptions import ValidationError as DjangoValidationError
from django.db.models import Field, Model, QuerySet
from rest_framework.request import Request

from core.api.problems import FieldProblem, Invalid

DEFAULT_LIMIT = 25
MAX_LIMIT = 100
#: The query parameters that `window` reads.
PARAMETERS = frozenset({"limit", "cursor"})

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, slots=True)
class Window:
    """What of a list is asked for: `limit` rows beyond the key `after` (as text), or from the start."""

    limit: int = DEFAULT_LIMIT
    after: str | None = None


def window(request: Request) -> Window:
    """From `?limit=` (1 to 100) and `?cursor=`; raises Invalid."""
    raw = request.query_params.get("limit", str(DEFAULT_LIMIT))
    if not (raw.isascii() and raw.isdigit() and len(raw) < 10 and 1 <= int(raw) <= MAX_LIMIT):
        raise Invalid([FieldProblem("", "range", f"limit is a number from 1 to {MAX_LIMIT}.", parameter="limit")])
    cursor = request.query_params.get("cursor")
    return Window(int(raw), _decode(cursor) if cursor else None)


def page(
    rows: QuerySet[Row], asked: Window, *, key: str = "id", newest_first: bool = True
) -> tuple[list[Row], str | None]:
    """The rows of the window in the order of `key` (unique), and the cursor of what follows."""
    if asked.after is not None:
        field = rows.model._meta.get_field(key)
        assert isinstance(field, Field), f"{key} is a relation"  # noqa: S101 - a programming error
        try:
            rows = rows.filter(**{f"{key}__{'lt' if newest_first else 'gt'}": field.to_python(asked.after)})
        except (ValueError, DjangoValidationError):
            raise _not_a_cursor() from None
    found = list(rows.order_by(f"-{key}" if newest_first else key)[: asked.limit + 1])
    if len(found) <= asked.limit:
        return found, None
    shown = found[: asked.limit]
    return shown, _encode(str(getattr(shown[-1], key)))


def _encode(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def _decode(cursor: str) -> str:
    try:
        key = base64.b64decode(
            cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True
        ).decode()
    except (UnicodeError, binascii.Error):
        raise _not_a_cursor() from None
    if "\x00" in key or len(key) > 200:
        raise _not_a_cursor()
    return key


def _not_a_cursor() -> Invalid:
    return Invalid([FieldProblem("", "invalid", "This is not a cursor of this list.", parameter="cursor")])
