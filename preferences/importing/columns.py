"""Checking one column of many records at a time.

The usual value is recognised without a call of its own; every other goes to `preferences.validation`, whose word is
final.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import orjson

from preferences import phones, validation

#: Values of a column whose answers are kept: more than there are languages, zones and plans in a file.
_REMEMBERED: Final = 1024
#: Characters of all attributes of a row that cannot reach the limit on their bytes, whatever they are.
_SURELY_SMALL: Final = validation.MAX_ATTRIBUTES_BYTES // 16


class Column(NamedTuple):
    """How the stripped cells of a column become values. Attributes are one column, whose cells are tuples."""

    quick: Callable[[Sequence[Any]], list[str | None]]  # None where only `check` can say
    check: Callable[[Any], str]  # raises ValidationProblem


def _quick_ids(cells: Sequence[str]) -> list[str | None]:
    return [text if validation.is_external_id(text) else None for text in cells]


def _quick_names(cells: Sequence[str]) -> list[str | None]:
    longest = validation.MAX_NAME
    return [text if text.isprintable() and "  " not in text and len(text) <= longest else None for text in cells]


def _name(text: str) -> str:
    return validation.name(one_line(text))


def _quick_emails(cells: Sequence[str]) -> list[str | None]:
    plain = validation.is_plain_email
    return [text if not text or plain(text) else None for text in cells]


EXTERNAL_ID: Final = Column(_quick_ids, validation.external_id)


def known_columns(region: str | None) -> dict[str, Column]:
    """The known columns by name. `region` is the country of phone numbers written without one."""
    return {
        "name": Column(_quick_names, _name),
        "email": Column(_quick_emails, validation.email),
        # Spreadsheets write '+49 to keep the plus.
        "phone": Column(
            lambda cells: phones.clean_to_e164(cells, region),
            lambda text: validation.phone(text.lstrip("'"), region),
        ),
        "locale": _remembered(validation.locale),
        "timezone": _remembered(lambda text: validation.timezone(text) if text else ""),
        "quiet_hours": _remembered(validation.quiet_hours_text),
        "email_verified": _remembered(validation.yes_or_no_text),
        "phone_verified": _remembered(validation.yes_or_no_text),
    }


def attribute_column(names: Sequence[str]) -> Column:
    """The column of all attributes, by these names: JSON without those that are blank, and empty for none."""

    def check(cells: Sequence[str]) -> str:
        given = {name: text for name, text in zip(names, cells, strict=True) if text}
        written = "".join(given.values())
        if len(written) > _SURELY_SMALL or not written.isprintable():
            validation.attributes(given)
        return orjson.dumps(given).decode() if given else ""

    return _remembered(check)


def one_line(text: str) -> str:
    """A spreadsheet's cell of two lines is meant as one."""
    return " ".join(text.split())


def _remembered(check: Callable[[Any], str]) -> Column:
    """A column in which the same few values come again and again."""
    answers: dict[Any, str] = {}

    def quick(cells: Sequence[Any]) -> list[str | None]:
        return list(map(answers.get, cells))

    def ask(cell: Any) -> str:
        answer = check(cell)
        if len(answers) >= _REMEMBERED:
            answers.clear()
        answers[cell] = answer
        return answer

    return Column(quick, ask)
