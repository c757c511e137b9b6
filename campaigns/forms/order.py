"""Fields of a draft's form about the order in which its channels are tried."""

from collections.abc import Mapping
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminSelectWidget

from core.forms import SpanField
from preferences.choices import Strategy
from preferences.step_rows import StepsField
from preferences.strategies import DEFAULT_STEPS, DEFAULT_WAIT, MAX_AFTER, MIN_WAIT, as_json

_HOWS = [
    ("", "As the category says"),
    (Strategy.ALL.value, "All at once"),
    (Strategy.FIRST.value, "One after the other, until one has delivered"),
    (Strategy.ESCALATE.value, "Step by step, only as long as it is not seen or read"),
]


class OrderFields(forms.Form):
    """How its channels are used: what is chosen, and what goes with the choice."""

    how = forms.ChoiceField(
        choices=_HOWS, required=False, label="How should the channels be used?", widget=UnfoldAdminSelectWidget,
        help_text="At once is loud and quick. One after the other costs less and disturbs less.",
    )  # fmt: skip
    how_wait = SpanField(
        least=MIN_WAIT, most=MAX_AFTER, required=False, initial=DEFAULT_WAIT, label="Next channel after",
        help_text="How long a channel has to deliver before the next one is tried.",
    )  # fmt: skip
    how_steps = StepsField(
        required=False, initial=as_json(DEFAULT_STEPS), label="Steps",
        help_text="Times are counted from the start. The steps name the channels: leave those above unticked. No steps:"
        " those of the category.",
    )  # fmt: skip

    def show_order(self, strategy: Any) -> None:
        """What a draft has chosen, in the form."""
        own = strategy if isinstance(strategy, dict) else {}
        self.fields["how"].initial = next(iter(own), "") if own else strategy or ""
        if "first" in own:
            self.fields["how_wait"].initial = own["first"]
        if strategy is not None:
            self.fields["how_steps"].initial = own.get("escalate", [])

    def read_order(self, cleaned: Mapping[str, Any]) -> str | dict[str, Any] | None:
        """What is chosen, as it is stored."""
        how = cleaned.get("how") or None
        for field, of in (("how_wait", Strategy.FIRST), ("how_steps", Strategy.ESCALATE)):
            if how != of:  # what is not asked for is not shown, either
                self.errors.pop(field, None)
        if how == Strategy.FIRST and cleaned.get("how_wait") is not None:
            return {"first": cleaned["how_wait"]}
        if how == Strategy.ESCALATE and cleaned.get("how_steps"):
            if cleaned.get("channels"):
                self.add_error("channels", "The steps below name the channels: untick these, or empty the steps.")
            return {"escalate": cleaned["how_steps"]}
        return how
