"""Rules: when an alert opens, and what the last look said."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from analytics.alerts.admin import marks
from analytics.alerts.admin.rule_form import RuleForm
from analytics.alerts.choices import UNITS, Condition, Metric, Unit
from analytics.alerts.models import AlertRule
from analytics.alerts.wording import duration, quantity
from core.admin import BaseModelAdmin
from notifications.admin import looks
from notifications.choices import Channel, Priority


@admin.register(AlertRule)
class AlertRuleAdmin(BaseModelAdmin):
    """Rules that came along can be changed and switched off; the next release leaves them as they are."""

    form = RuleForm
    list_display = ("name", "weight", "watches", "limit", "now")
    list_display_links = ("name",)
    list_filter = ("is_on", "severity", "metric")
    search_fields = ("name",)
    actions = ("switch_on", "switch_off")
    readonly_fields = ("now", "looked")
    fieldsets = (
        (None, {"fields": ("name", "severity", "is_on", "advice")}),
        ("What is looked at", {"fields": ("metric", "split_by", "channel", "provider", "source", "priority")}),
        (
            "When it is bad",
            {
                "fields": (
                    "condition",
                    ("threshold", "clear_threshold"),
                    ("window_seconds", "minimum_traffic"),
                    ("objective", "short_window_seconds"),
                    ("for_seconds", "clear_seconds"),
                )
            },
        ),
        ("Who is told", {"fields": ("repeat_seconds", "routes", "explained_by")}),
        ("The last look", {"fields": ("now", "looked")}),
    )

    def get_fieldsets(self, request: HttpRequest, obj: AlertRule | None = None) -> Any:
        return self.fieldsets if obj is not None else self.fieldsets[:-1]

    def save_model(self, request: HttpRequest, obj: AlertRule, form: Any, change: bool) -> None:
        """Not what the evaluator wrote meanwhile."""
        if change:
            obj.save(update_fields=[name for name in form.cleaned_data if name not in {"explained_by", "routes"}])
        else:
            super().save_model(request, obj, form, change)

    @admin.display(description="Severity", ordering="severity")
    def weight(self, rule: AlertRule) -> SafeString:
        return marks.severity(rule.severity)

    @admin.display(description="Looks at")
    def watches(self, rule: AlertRule) -> SafeString:
        narrowed = [
            Channel(rule.channel).label if rule.channel else "",
            rule.provider,
            rule.source,
            Priority(rule.priority).label if rule.priority else "",
            f"by {rule.split_by}" if rule.split_by else "",
        ]
        label = str(Metric(rule.metric).label)
        return format_html('{} <span class="cr-subtle">{}</span>', label, ", ".join(map(str, filter(None, narrowed))))

    @admin.display(description="Bad when")
    def limit(self, rule: AlertRule) -> str:
        unit = UNITS[rule.metric]
        wait = f", for {duration(rule.pace.wait)}" if rule.for_seconds else ""
        if unit is Unit.YES_NO:
            return f"it is so{wait}"
        if rule.condition == Condition.BURN:
            short = f" and {duration(rule.short_window)}" if rule.short_window_seconds else ""
            budget = quantity(1 - (rule.objective or 0), Unit.SHARE)
            return f"{rule.threshold:g} × the budget of {budget}, over {duration(rule.window)}{short}"
        word = "below" if rule.condition == Condition.BELOW else "from"
        return f"{word} {quantity(rule.threshold, unit)}{wait}"

    @admin.display(description="Now")
    def now(self, rule: AlertRule) -> SafeString:
        return format_html(
            '{} <span class="cr-subtle">{}</span>', marks.standing(rule), rule.seen if rule.is_on else ""
        )

    @admin.display(description="Looked at")
    def looked(self, rule: AlertRule) -> str:
        return looks.moment(rule.seen_at)

    @admin.action(description="Switch on", permissions=["change"])
    def switch_on(self, request: HttpRequest, rules: QuerySet[AlertRule]) -> None:
        self._switch(request, rules, on=True)

    @admin.action(description="Switch off", permissions=["change"])
    def switch_off(self, request: HttpRequest, rules: QuerySet[AlertRule]) -> None:
        self._switch(request, rules, on=False)

    def _switch(self, request: HttpRequest, rules: QuerySet[AlertRule], *, on: bool) -> None:
        for rule in rules:
            if rule.is_on != on:
                rule.is_on = on
                rule.save(update_fields=["is_on"])
                self.log_change(request, rule, f"Switched {'on' if on else 'off'}")
        messages.success(request, f"Switched {'on' if on else 'off'}; it takes hold with the next look.")
