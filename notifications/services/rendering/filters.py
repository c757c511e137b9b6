"""The filters a message template may use, each bounded in what it takes and gives."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from liquid import Environment
from liquid.exceptions import LiquidError

#: Characters (or a like measure of lists and numbers) that one value of a template may hold.
MAX_VALUE = 128 * 1024
MAX_ITEMS = 1_000
MAX_NUMBER_BITS = 128
_DATE_FORMAT_LENGTH = 64
#: Without the square brackets in the class this would be quadratic in "<<<<".
_HTML_TAG = re.compile(r"<[^<>]*>")


class LimitReached(LiquidError):
    """A template asked for more than any message needs."""

    def __init__(self, message: str) -> None:
        super().__init__(message, token=None)


class PayingContext(Protocol):
    """The context of the sandbox, as a filter sees it."""

    env: Environment

    def spend(self, steps: int) -> None:
        """Raises LimitReached when the render's budget is used up."""
        ...


def size_of(value: object) -> int:
    """How much a value holds, in characters or about their like. Raises LimitReached beyond the bounds.

    Data is plain (dicts, lists, text, numbers), and a list may hold one big item many times: the walk stops at the
    limit, so it costs no more than what it bounds.
    """
    total = 0
    todo = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, str):
            total += len(item)
        elif isinstance(item, Mapping):
            todo += item.keys()
            todo += item.values()
        elif isinstance(item, (list, tuple, range)):
            if len(item) > MAX_ITEMS:
                raise LimitReached(f"a list has more than {MAX_ITEMS} items")
            if not isinstance(item, range):
                todo += item
        elif isinstance(item, int) and item.bit_length() > MAX_NUMBER_BITS:
            raise LimitReached("a number is too large")
        total += 8
        if total > MAX_VALUE:
            raise LimitReached(f"a value has more than {MAX_VALUE} characters")
    return total


def _growth(name: str, value: object, args: tuple[Any, ...]) -> int:
    """What a filter that multiplies will give, before it is asked to."""
    if name == "replace" and args:
        old, new = str(args[0]), str(args[1]) if len(args) > 1 else ""
        text = str(value)
        return len(text) + (text.count(old) if old else len(text) + 1) * len(new)
    if name == "join" and isinstance(value, (list, tuple)):
        return len(value) * len(str(args[0]) if args else " ")
    return 0


def _guarded(name: str, inner: Callable[..., Any]) -> Callable[..., Any]:
    """The filter, with its input paid for and its output measured."""
    needs_environment = getattr(inner, "with_environment", False)

    def run(value: object, *args: Any, context: PayingContext, **kwargs: Any) -> Any:
        given = sum(map(size_of, (value, *args, *kwargs.values())))
        context.spend(1 + given // 64)
        if _growth(name, value, args) > MAX_VALUE:
            raise LimitReached(f"a value has more than {MAX_VALUE} characters")
        if needs_environment:
            kwargs["environment"] = context.env
        result = inner(value, *args, **kwargs)
        size_of(result)
        return result

    run.with_context = True  # type: ignore[attr-defined]  # how the library is told
    return run


def _date(value: object, wanted: object = "%Y-%m-%d") -> str:
    """An ISO 8601 time or Unix seconds by a strftime pattern, in UTC or the offset the value carries.

    Unlike the library's own it has no "now" (a retry would say something else) and no local time zone. What is not a
    time is given back as it came.
    """
    moment = _moment(value)
    if moment is None:
        return "" if value is None else str(value)
    return moment.strftime(str(wanted)[:_DATE_FORMAT_LENGTH])


def _moment(value: object) -> datetime | None:
    try:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, tz=UTC)
        if isinstance(value, str) and len(value) <= 40:
            return datetime.fromisoformat(value.strip())
    except (ValueError, OverflowError, OSError):
        pass
    return None


def _strip_html(value: object) -> str:
    return _HTML_TAG.sub("", "" if value is None else str(value))


#: Left out: `safe`, `escapejs` and `base64_decode` (ways around escaping), `uniq` (quadratic), the other base64 ones.
_NAMES = """
    abs append at_least at_most capitalize ceil compact concat default divided_by downcase escape escape_once find
    find_index first floor has join last lstrip map minus modulo newline_to_br plus prepend reject remove remove_first
    remove_last replace replace_first replace_last reverse round rstrip size slice sort sort_natural split squish strip
    strip_newlines sum times truncate truncatewords upcase url_decode url_encode where
"""


def _filters() -> dict[str, Callable[..., Any]]:
    library = Environment().filters
    chosen = {name: library[name] for name in _NAMES.split()}
    chosen |= {"date": _date, "strip_html": _strip_html}
    return {name: _guarded(name, inner) for name, inner in chosen.items()}


FILTERS = _filters()
