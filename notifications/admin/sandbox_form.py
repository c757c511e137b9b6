"""The form of a simulated provider: a field for every option, blank where the settings decide."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from django import forms
from django.core.validators import RegexValidator
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from notifications.providers.simulated_options import Options, option_type, option_words

GROUPS: dict[str, tuple[str, ...]] = {
    "Answers, as shares from 0 to 1": (
        "outage", "success_rate", "temporary_rate", "invalid_rate", "throttle_rate", "timeout_rate",
    ),
    "What a 429 says": ("throttle_seconds", "throttle_retry_after"),
    "How long it takes": ("latency_ms", "latency_sigma"),
    "What it reports later": (
        "receipts", "receipt_delay_ms", "bounce_rate", "complaint_rate", "open_rate", "click_rate",
    ),
    "Besides": ("record", "seed"),
}  # fmt: skip


class _Number(UnfoldAdminTextInputWidget):
    input_type = "number"


class OptionsForm(forms.Form):
    """`options()` are those that were filled in. `base` is what the settings say, shown where nothing is."""

    def __init__(self, data: Mapping[str, Any] | None, *, base: Options, overridden: Mapping[str, Any]) -> None:
        super().__init__(data, initial={name: _shown(value) for name, value in overridden.items()})
        for names in GROUPS.values():
            for name in names:
                self.fields[name] = _field(name, getattr(base, name))

    def groups(self) -> Iterator[tuple[str, list[forms.BoundField]]]:
        for title, names in GROUPS.items():
            yield title, [self[name] for name in names]

    def options(self) -> dict[str, Any]:
        """The values of a valid form."""
        return {name: value for name, value in self.cleaned_data.items() if value not in {None, ""}}


def _shown(value: Any) -> Any:
    return ("1" if value else "0") if isinstance(value, bool) else value


def _field(name: str, base: Any) -> forms.Field:
    words = option_words(name)
    common: dict[str, Any] = {"required": False, "label": words["title"], "help_text": words["description"]}
    kind = option_type(name)
    if isinstance(kind, msgspec.inspect.BoolType):
        return forms.TypedChoiceField(
            choices=[("", f"As the settings say: {'on' if base else 'off'}"), ("1", "On"), ("0", "Off")],
            coerce=lambda value: value == "1",
            empty_value=None,
            widget=UnfoldAdminSelectWidget,
            **common,
        )
    if isinstance(kind, msgspec.inspect.StrType):
        widget = UnfoldAdminTextInputWidget(attrs={"placeholder": base or "not sent as text"})
        checks = [RegexValidator(kind.pattern, "A header holds printable ASCII characters alone.")]
        return forms.CharField(max_length=kind.max_length, validators=checks, widget=widget, **common)
    widget = _Number(attrs={"placeholder": f"{base:g}", "step": "any" if isinstance(base, float) else "1"})
    limits: dict[str, Any] = {"min_value": getattr(kind, "ge", None), "max_value": getattr(kind, "le", None)}
    if isinstance(kind, msgspec.inspect.FloatType):
        return forms.FloatField(widget=widget, **limits, **common)
    return forms.IntegerField(widget=widget, **limits, **common)
