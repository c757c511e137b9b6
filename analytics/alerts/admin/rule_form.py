"""A rule as people write it, and what makes no sense."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from analytics.alerts.admin.spans import SpanField
from analytics.alerts.choices import BURNABLE, Condition, Metric, SplitBy
from analytics.alerts.models import MAX_REPEAT, MAX_WAIT, MAX_WINDOW, AlertRule
from analytics.alerts.muting import makes_a_circle

#: States: they have no window, and are not of a source.
_LANES = frozenset({Metric.OLDEST_DUE, Metric.OUTBOX_LAG, Metric.WORKERS})
_PROVIDERS = frozenset({Metric.BREAKER_OPEN, Metric.NOBODY_SERVES})
_WHOLE = frozenset({Metric.EVENTS_LAG, Metric.PROCESSES_MISSING, Metric.REDIS_AWAY})
_STATES = _LANES | _PROVIDERS | _WHOLE


class ProviderInput(UnfoldAdminTextInputWidget):
    """A text with the names of PROVIDERS as suggestions."""

    def render(self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None) -> SafeString:
        shown = super().render(name, value, {**(attrs or {}), "list": f"{name}-known"}, renderer)
        options = format_html_join("", '<option value="{}"></option>', ((one,) for one in sorted(settings.PROVIDERS)))
        return format_html('{}<datalist id="{}-known">{}</datalist>', shown, name, options)


def check_provider(name: str) -> None:
    if name and name not in settings.PROVIDERS:
        raise forms.ValidationError(f"There is no such provider. Known: {', '.join(sorted(settings.PROVIDERS))}.")


class RuleForm(forms.ModelForm):
    """Spans are written as 30s, 5m, 2h, 3d."""

    window_seconds = SpanField(
        label="Window", least=60, most=MAX_WINDOW, help_text="How far back is looked; the figures are by the minute."
    )
    short_window_seconds = SpanField(
        label="Short window",
        least=60,
        most=MAX_WINDOW,
        zero=True,
        required=False,
        help_text="Of a burn rate: it must burn over this one, too. 0: none.",
    )
    for_seconds = SpanField(
        label="Bad for", most=MAX_WAIT, help_text="It must be bad at every look for so long before an alert opens."
    )
    clear_seconds = SpanField(
        label="Good for", most=MAX_WAIT, help_text="It must be good at every look for so long before it clears."
    )
    repeat_seconds = SpanField(
        label="Repeat after",
        least=60,
        most=MAX_REPEAT,
        zero=True,
        help_text="It is told again after so long, until somebody acknowledges it. 0: never.",
    )

    class Meta:
        model = AlertRule
        fields: ClassVar = [
            "name", "is_on", "severity", "metric", "channel", "provider", "source", "priority", "split_by",
            "window_seconds", "condition", "threshold", "clear_threshold", "objective", "short_window_seconds",
            "minimum_traffic", "for_seconds", "clear_seconds", "repeat_seconds", "advice", "explained_by", "routes",
        ]  # fmt: skip
        widgets: ClassVar = {
            "provider": ProviderInput,
            "advice": UnfoldAdminTextareaWidget(attrs={"rows": 3}),
            "explained_by": UnfoldAdminCheckboxSelectMultipleWidget,
            "routes": UnfoldAdminCheckboxSelectMultipleWidget,
        }
        labels: ClassVar = {"explained_by": "Root causes", "routes": "Own routes"}
        help_texts: ClassVar = {
            "source": "campaign:42, or api: and the prefix of a key. Empty: all.",
            "routes": "None: every route that receives this severity.",
            "explained_by": "While an alert of one of these fires for the same channel or provider, nobody is told of"
            " this one.",
        }

    def clean_short_window_seconds(self) -> int:
        return self.cleaned_data["short_window_seconds"] or 0

    def clean_provider(self) -> str:
        name = str(self.cleaned_data["provider"]).strip()
        check_provider(name)
        return name

    def clean(self) -> dict[str, Any]:
        super().clean()
        given: dict[str, Any] = self.cleaned_data
        if {"metric", "condition", "threshold"} <= given.keys():
            for field, text in _faults(given).items():
                self.add_error(field, text)
            self._check_causes(given)
        return given

    def _check_causes(self, given: Mapping[str, Any]) -> None:
        if self.instance.pk is None or "explained_by" not in given:
            return
        edges: dict[int, list[int]] = {}
        through = AlertRule.explained_by.through
        for rule, cause in through._default_manager.values_list("from_alertrule_id", "to_alertrule_id"):
            edges.setdefault(rule, []).append(cause)
        if makes_a_circle(self.instance.pk, [one.pk for one in given["explained_by"]], edges):
            self.add_error("explained_by", "These are explained by this rule: nobody would be told of any of them.")


def _faults(given: Mapping[str, Any]) -> dict[str, str]:
    """Field to what is wrong with it."""
    found = {}
    metric, condition = given["metric"], given["condition"]
    if condition == Condition.BURN:
        if metric not in BURNABLE:
            found["condition"] = "Only a share of what went wrong can burn an error budget."
        if given.get("objective") is None:
            found["objective"] = "Say which share must be good: 0.99."
        if (given.get("short_window_seconds") or 0) >= (given.get("window_seconds") or MAX_WINDOW):
            found["short_window_seconds"] = "It must be shorter than the window."
    clear, threshold = given.get("clear_threshold"), given["threshold"]
    if clear is not None and (clear < threshold if condition == Condition.BELOW else clear > threshold):
        found["clear_threshold"] = "It must lie on the good side of the threshold."
    if given.get("priority") and metric not in _LANES:
        found["priority"] = "This metric does not know priorities: only what waits does."
    if given.get("source") and metric in _STATES:
        found["source"] = "This metric is a state of the whole installation."
    if given.get("provider") and metric in _LANES | _WHOLE | {Metric.NOBODY_SERVES, Metric.ACCEPTED}:
        found["provider"] = "This metric does not know providers."
    if given.get("split_by") and not _splits(metric, given["split_by"]):
        found["split_by"] = "This metric cannot be told apart by that."
    return found


def _splits(metric: str, by: str) -> bool:
    if metric in _WHOLE | {Metric.ACCEPTED}:
        return False
    if metric in _LANES | {Metric.NOBODY_SERVES}:
        return by == SplitBy.CHANNEL
    return metric != Metric.BREAKER_OPEN or by == SplitBy.PROVIDER
