"""The form that begins a replay: which letters, at what rate, and the number typed by hand when they are many."""

from collections.abc import Mapping
from datetime import UTC
from typing import Any

from django import forms
from django.conf import settings
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from core.admin_filters import moment_field
from core.moments import fits_utc
from notifications.choices import Channel, FailureCode
from notifications.models.dead_letter import DeadCause
from notifications.services import letters
from notifications.services.letters import LetterFilter
from notifications.services.replays import MATCHED_CAP, MAX_PER_MINUTE

#: Replays of more letters than this want their number typed.
TYPED_OVER = 1_000
#: Letters a minute unless told otherwise: ten a second, which a provider that has just come back can take.
DEFAULT_RATE = 600
#: What stands in an address or a form for letters without a provider or a code.
NONE = "none"


def provider_choices() -> list[tuple[str, str]]:
    """Every provider that is configured or has open letters."""
    names = {*settings.PROVIDERS, *(group.provider for group in letters.groups())} - {""}
    return [*((name, name) for name in sorted(names)), (NONE, "No provider")]


def code_choices() -> list[tuple[str, str]]:
    return [*((str(value), str(label)) for value, label in FailureCode.choices), (NONE, "No code")]


def _choice(label: str, choices: Any, any_: str) -> forms.ChoiceField:
    offered = (lambda: [("", any_), *choices()]) if callable(choices) else [("", any_), *choices]
    return forms.ChoiceField(label=label, required=False, choices=offered, widget=UnfoldAdminSelectWidget)


class ReplayForm(forms.Form):
    """Which letters, and how fast. `upto` is the newest letter at the time the page was shown: what dies while somebody
    reads and types does not change what they agree to."""

    channel = _choice("Channel", Channel.choices, "Any channel")
    provider = _choice("Provider", provider_choices, "Any provider")
    cause = _choice("Cause", DeadCause.choices, "Any cause")
    code = _choice("Code", code_choices, "Any code")
    since = moment_field("Died from (UTC)")
    until = moment_field("Died before (UTC)")
    rate = forms.IntegerField(
        label="Letters a minute",
        min_value=1,
        max_value=MAX_PER_MINUTE,
        initial=DEFAULT_RATE,
        widget=UnfoldAdminIntegerFieldWidget,
    )
    upto = forms.IntegerField(min_value=0, widget=forms.HiddenInput)
    typed = forms.CharField(label="Their number", required=False, max_length=20, widget=UnfoldAdminTextInputWidget)

    def __init__(self, data: Mapping[str, Any]) -> None:
        given = {name: str(value).replace("\x00", "") for name, value in data.items()}
        super().__init__(
            {**given, "rate": given.get("rate", DEFAULT_RATE), "upto": given.get("upto", letters.newest_id())}
        )
        self.fields["typed"].widget.attrs |= {"autocomplete": "off", "inputmode": "numeric"}
        self.matched = 0
        if self.is_valid():
            self.matched = letters.count(self.wanted, upto=self.cleaned_data["upto"], cap=MATCHED_CAP)

    def clean_since(self) -> Any:
        return self._moment("since")

    def clean_until(self) -> Any:
        return self._moment("until")

    def _moment(self, name: str) -> Any:
        moment = self.cleaned_data[name]
        if moment is not None and not fits_utc(moment):
            raise forms.ValidationError("That is outside the calendar.")
        return moment.astimezone(UTC) if moment else None

    @property
    def wanted(self) -> LetterFilter:
        """The letters that are meant."""
        names = ("channel", "provider", "cause", "code", "since", "until")
        chosen: dict[str, Any] = {name: self.cleaned_data[name] or None for name in names}
        facts: dict[str, Any] = {name: "" if value == NONE else value for name, value in chosen.items()}
        return LetterFilter(**facts)

    @property
    def rate_words(self) -> str:
        """How long it will take, roughly."""
        minutes = self.matched / self.cleaned_data["rate"]
        if minutes < 2:
            return f"{max(1, round(minutes * 60)):,} s"
        return f"{minutes:,.0f} min" if minutes < 120 else f"{minutes / 60:,.0f} h"

    @property
    def wants_number(self) -> bool:
        return self.matched > TYPED_OVER

    def agreed(self) -> bool:
        """Whether the number was typed where it must be; says what is missing beside the field otherwise."""
        typed = self.cleaned_data["typed"].strip().translate({ord(mark): None for mark in ",.' \u202f\u00a0"})
        if not self.wants_number or typed == str(self.matched):
            return True
        self.add_error("typed", f"Type {self.matched:,} to agree: that is how many letters go back.")
        return False
