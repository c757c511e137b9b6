"""The steps of an escalation as rows of a form: a channel, how long after the start, and unless what has happened."""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget

from core.forms import UNITS, number_and_unit
from preferences.choices import Channel, Unless
from preferences.strategies import MAX_AFTER, Fault, Refused, as_json, steps

#: A row for each channel there is: with all of them on the page none need be added.
ROWS = len(Channel)
#: More than this of any unit is longer than steps may wait; what is typed is a number of few digits then.
_MOST_DIGITS = 7
_PARTS = ("channel", "number", "unit", "unless")
_FIRST = format_html('<span class="cr-subtle">{}</span>', "at once")


class StepsWidget(forms.Widget):
    """Rows that are all on the page; an empty one is no step. What is wrong with a row stands under it."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: dict[int, list[str]] = {}

    def value_from_datadict(self, data: Mapping[str, Any], files: Any, name: str) -> list[dict[str, str]]:
        return [{part: str(data.get(f"{name}-{n}-{part}") or "") for part in _PARTS} for n in range(ROWS)]

    def value_omitted_from_data(self, data: Mapping[str, Any], files: Any, name: str) -> bool:
        return not any(f"{name}-{n}-channel" in data for n in range(ROWS))

    def id_for_label(self, id_: str) -> str:
        return f"{id_}-0-channel" if id_ else id_

    def render(self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None) -> SafeString:
        rows = list(value or [])[:ROWS]
        rows += [{}] * (ROWS - len(rows))
        shown = ((self._row(name, n, _typed(row)),) for n, row in enumerate(rows))
        return format_html('<ol class="cr-step-rows">{}</ol>', format_html_join("", "{}", shown))

    def _row(self, name: str, n: int, row: Mapping[str, Any]) -> SafeString:
        faults = self.faults.get(n, [])
        parts = (part for part in _PARTS if n or part == "channel")
        fields = {part: _field(part, f"{name}-{n}-{part}", row.get(part), n, is_wrong=bool(faults)) for part in parts}
        if n:
            rest = format_html(
                '<span>after</span>{}{}<span>unless it is</span>{}<span>by then</span>',
                fields["number"], fields["unit"], fields["unless"],
            )  # fmt: skip
        else:
            rest = _FIRST
        told = format_html_join("", '<p class="cr-field-error">{}</p>', ((fault,) for fault in faults))
        return format_html(
            '<li><div class="cr-step-row">{}{}</div><div id="{}-{}-error">{}</div></li>',
            fields["channel"], rest, name, n, told,
        )  # fmt: skip


def _field(part: str, name: str, value: Any, n: int, *, is_wrong: bool) -> SafeString:
    choices: dict[str, list[tuple[Any, Any]]] = {
        "channel": [("", "no step"), *Channel.choices],
        "unit": list(UNITS.items()),
        "unless": list(Unless.choices),
    }
    attrs = {"aria-label": f"Step {n + 1}, {_LABELS[part]}", "id": f"id_{name}"}
    if is_wrong:
        attrs |= {"aria-invalid": "true", "aria-describedby": f"{name.rpartition('-')[0]}-error"}
    widget: forms.Widget = (
        UnfoldAdminIntegerFieldWidget(attrs={"min": 1})
        if part == "number"
        else UnfoldAdminSelectWidget(choices=choices[part])
    )
    rendered: SafeString = widget.render(name, value, attrs)
    return rendered


_LABELS = {"channel": "channel", "number": "how long after the start", "unit": "unit", "unless": "unless it is"}


def _typed(row: Any) -> Mapping[str, Any]:
    """A row as it was typed, or one for a step as it is stored."""
    if "channel" not in row or "number" in row:
        return {"unit": 60, "unless": Unless.READ.value, **row}
    number, unit = number_and_unit(row.get("after", 0))
    return {"channel": row["channel"], "number": number, "unit": unit, "unless": row.get("unless") or Unless.READ.value}


class StepsField(forms.Field):
    """Steps, cleaned to what is stored; none where every row is empty."""

    widget = StepsWidget

    def clean(self, value: Any) -> list[dict[str, Any]]:
        typed = [(n, row) for n, row in enumerate(value or []) if row["channel"] or row["number"]]
        if not typed:
            return []
        places = [n for n, _ in typed]
        try:
            return as_json(steps([_step(row, is_first=not position) for position, (_, row) in enumerate(typed)]))
        except Refused as refused:
            raise forms.ValidationError(self._tell(refused.faults, places)) from None

    def _tell(self, faults: Sequence[Fault], places: Sequence[int]) -> list[str]:
        """Each stands at its row; the field's own are those about the whole, and where to look."""
        widget: Any = self.widget
        found: dict[int, list[str]] = {}
        whole = [fault.message for fault in faults if not fault.path]
        for fault in faults:
            if fault.path:
                found.setdefault(places[int(fault.path.split("/")[1])], []).append(_said(fault))
        widget.faults = found
        return whole + [f"Look at step {n + 1} again." for n in sorted(found)]

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return self.clean(data) != list(initial or [])
        except forms.ValidationError:
            return True


#: Said of a number that no span can be.
_WAIT = f"Say how long after the start: at most {MAX_AFTER // 86_400} days."


def _said(fault: Fault) -> str:
    """In words of the form, which knows no seconds."""
    return _WAIT if fault.path.endswith("/after") and fault.code == "invalid" else fault.message


def _step(row: Mapping[str, str], *, is_first: bool) -> dict[str, Any]:
    """As the API takes it. A number that is none is left for the check to refuse."""
    if is_first:
        return {"channel": row["channel"]}
    number = row["number"].strip()
    unit = int(row["unit"]) if row["unit"] in map(str, UNITS) else 60
    is_number = number.isascii() and number.isdecimal() and len(number) <= _MOST_DIGITS
    return {"channel": row["channel"], "after": int(number) * unit if is_number else -1, "unless": row["unless"]}
