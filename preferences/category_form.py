"""The form of a category's admin page."""

import calendar
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminTextareaWidget

from core.forms import SpanField
from preferences.choices import Channel
from preferences.digesting import config
from preferences.digesting.models import MAX_WINDOW_SECONDS
from preferences.digesting.rules import DIGEST_COLUMNS
from preferences.forms import MinuteWidget
from preferences.models import MAX_DEDUP_SECONDS, Category
from preferences.step_rows import StepsField
from preferences.strategies import MAX_AFTER, MIN_WAIT


def _span(name: str, least: int, most: int) -> SpanField:
    """A column of seconds, typed with a unit."""
    column: Any = Category._meta.get_field(name)
    label = str(column.verbose_name).capitalize()
    return SpanField(
        least=least, most=most, label=label, initial=column.default, help_text=_SPANS[name], require_all_fields=True
    )


_SPANS = {
    "dedup_seconds": "In which the same message to the same person is sent once; 0 sends it every time",
    "fallback_seconds": "How long a channel has to deliver, when one is tried after the other",
    "digest_window_seconds": "Of a fixed window its length; of a sliding one how long it waits after each message",
    "digest_cap_seconds": "After the first message, a sliding window ends at last, whatever still comes",
}


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

    dedup_seconds = _span("dedup_seconds", 0, MAX_DEDUP_SECONDS)
    fallback_seconds = _span("fallback_seconds", MIN_WAIT, MAX_AFTER)
    digest_window_seconds = _span("digest_window_seconds", 1, MAX_WINDOW_SECONDS)
    digest_cap_seconds = _span("digest_cap_seconds", 1, MAX_WINDOW_SECONDS)
    escalation = StepsField(
        label="Steps",
        required=False,
        help_text="For step by step; times are counted from the start. None: in-app at once, push after 10 minutes"
        " unless it is seen, email after an hour unless it is read",
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

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        asked = (*DIGEST_COLUMNS, "is_required", "channels", "strategy", "escalation")
        if not any(name in self.errors for name in asked):
            values = {name: cleaned[name] for name in asked}
            for problem in config.problems(Category(**values)):
                self.add_error(problem.field, ValidationError(problem.message, code=problem.code))
        return cleaned
