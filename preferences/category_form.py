"""The form of a category's admin page."""

import calendar
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminTextareaWidget

from preferences.choices import Channel
from preferences.digesting import config
from preferences.digesting.rules import DIGEST_COLUMNS
from preferences.forms import MinuteWidget
from preferences.models import Category
from preferences.strategies import Refused, as_json, steps


def _place(path: str) -> str:
    """`Step 2: ` of the pointer `/1/after`."""
    number = path.split("/")[1] if path else ""
    return f"Step {int(number) + 1}: " if number else ""


class CategoryForm(forms.ModelForm):
    """A category, its channels as boxes to tick."""

    channels = forms.MultipleChoiceField(
        choices=Channel.choices,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="Where its messages go when the sender names no channels",
    )
    digest_channels = forms.MultipleChoiceField(
        label="Gathered on",
        choices=Channel.choices,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="On the other channels each message goes out at once",
    )
    digest_weekdays = forms.TypedMultipleChoiceField(
        label="Weekdays",
        choices=list(enumerate(calendar.day_name)),
        coerce=int,
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="None: every day",
    )

    class Meta:
        model = Category
        fields: ClassVar = [
            "name",
            "slug",
            "description",
            "channels",
            "default_priority",
            "purpose",
            "is_required",
            "dedup_seconds",
            "track_clicks",
            "track_opens",
            "waits_for_quiet_hours",
            "strategy",
            "fallback_seconds",
            "escalation",
            *DIGEST_COLUMNS,
            "cap_per_day",
            "cap_per_week",
        ]
        labels: ClassVar = {"is_required": "Required"}
        widgets: ClassVar = {"description": UnfoldAdminTextareaWidget(attrs={"rows": 3}), "digest_at": MinuteWidget}

    def clean_escalation(self) -> list[dict[str, Any]]:
        given = self.cleaned_data["escalation"]
        try:
            return as_json(steps(given)) if given else []
        except Refused as refused:
            raise ValidationError([f"{_place(one.path)}{one.message}" for one in refused.faults]) from None

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        asked = (*DIGEST_COLUMNS, "is_required", "channels", "strategy", "escalation")
        if not any(name in self.errors for name in asked):
            values = {name: cleaned[name] for name in asked}
            for problem in config.problems(Category(**values)):
                self.add_error(problem.field, ValidationError(problem.message, code=problem.code))
        return cleaned
