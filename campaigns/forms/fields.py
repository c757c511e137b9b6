"""Fields of a draft's form that are about time and about variants."""

from datetime import time
from typing import Any
from zoneinfo import available_timezones

from django import forms
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from core.admin_filters import moment_field
from notifications.models import MessageTemplate

WEEKDAYS = (
    ("1", "Monday"), ("2", "Tuesday"), ("3", "Wednesday"), ("4", "Thursday"), ("5", "Friday"), ("6", "Saturday"),
    ("7", "Sunday"),
)  # fmt: skip


class DateInput(UnfoldAdminTextInputWidget):
    """The browser's own date picker."""

    input_type = "date"


class TimeInput(UnfoldAdminTextInputWidget):
    """The browser's own time picker, to the minute."""

    input_type = "time"

    def format_value(self, value: Any) -> str | None:
        return f"{value:%H:%M}" if isinstance(value, time) else super().format_value(value)


def zones() -> list[tuple[str, str]]:
    """Every time zone by its IANA name, UTC first."""
    return [(name, name.replace("_", " ")) for name in ("UTC", *sorted(available_timezones() - {"UTC"}))]


def date_field(label: str, help_text: str = "") -> forms.DateField:
    return forms.DateField(label=label, required=False, widget=DateInput, help_text=help_text)


def time_field(label: str, help_text: str = "") -> forms.TimeField:
    return forms.TimeField(label=label, required=False, widget=TimeInput, help_text=help_text)


def moment(label: str, help_text: str) -> forms.DateTimeField:
    field = moment_field(label)
    field.help_text = help_text
    return field


def weekdays_field() -> forms.MultipleChoiceField:
    return forms.MultipleChoiceField(
        choices=WEEKDAYS, required=False, label="On these days", widget=UnfoldAdminCheckboxSelectMultipleWidget
    )


class DaysOfMonth(forms.CharField):
    """Days of the month as people write them: `1, 15`. Cleaned to a list of numbers."""

    def __init__(self, **options: Any) -> None:
        super().__init__(required=False, max_length=120, widget=UnfoldAdminTextInputWidget, **options)

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(map(str, value)) if isinstance(value, list) else value

    def clean(self, value: Any) -> Any:
        words = str(super().clean(value)).replace(",", " ").split()
        if not all(word.isdecimal() and word.isascii() and len(word) < 3 and 1 <= int(word) <= 31 for word in words):
            raise forms.ValidationError("Give days from 1 to 31 with commas between them, as in 1, 15.")
        return sorted({int(word) for word in words})


def _wording(label: str) -> forms.ModelChoiceField:
    templates = MessageTemplate.objects.filter(published__isnull=False)
    return forms.ModelChoiceField(templates, required=False, label=f"Wording {label}", widget=UnfoldAdminSelectWidget)


def _part(label: str) -> forms.IntegerField:
    return forms.IntegerField(
        min_value=1,
        max_value=99,
        required=False,
        label=f"Part of {label} in percent",
        widget=UnfoldAdminIntegerFieldWidget,
    )


class VariantFields(forms.Form):
    """For each label its template and its part."""

    variant_a, weight_a = _wording("A"), _part("A")
    variant_b, weight_b = _wording("B"), _part("B")
    variant_c, weight_c = _wording("C"), _part("C")
    variant_d, weight_d = _wording("D"), _part("D")
