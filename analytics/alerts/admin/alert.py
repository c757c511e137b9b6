"""Alerts: those that fire, as cards that move by themselves, and those that were."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from analytics.alerts import selectors, services
from analytics.alerts.admin import marks
from analytics.alerts.choices import Phase
from analytics.alerts.models import Alert, AlertMessage, AlertRule
from analytics.alerts.wording import duration
from core.admin import BigTableAdmin, ReadOnlyMixin, page_action
from notifications.admin import looks

#: Seconds between two looks of an open page.
EVERY = 5
#: Lines of an alert's history, and messages about it, that its page shows.
LATEST = 100
_PAGE = "admin:analytics_alert_change"


class AcknowledgeForm(forms.Form):
    """What the others may want to know."""

    note = forms.CharField(
        required=False,
        max_length=300,
        label="Note",
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "Asked the vendor, ticket 4711", "autofocus": True}),
    )


class SilenceForm(forms.Form):
    """For how long, and why."""

    minutes = forms.TypedChoiceField(
        label="For",
        coerce=int,
        choices=[(15, "15 minutes"), (60, "an hour"), (240, "four hours"), (1440, "a day"), (10_080, "a week")],
        initial=60,
        widget=UnfoldAdminSelectWidget(),
    )
    reason = forms.CharField(
        max_length=200,
        label="Why",
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "The vendor's maintenance window", "autofocus": True}),
        error_messages={"required": "Say why: somebody will want to know."},
    )


@admin.register(Alert)
class AlertAdmin(ReadOnlyMixin, BigTableAdmin):
    """Written by the evaluator. People acknowledge and silence; what they did is in the alert's history."""

    list_display = ("title", "weight", "state", "opened", "lasted", "takes_care")
    list_display_links = ("title",)
    list_filter = ("phase", "severity", "channel")
    list_before_template = "admin/analytics/alert/open.html"
    actions = None
    actions_detail = ("acknowledge", "silence")

    def get_urls(self) -> list[URLPattern]:
        panel = path("panel/", self.admin_site.admin_view(self.panel), name="analytics_alert_panel")
        return [panel, *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = {**(extra_context or {}), "title": "Alerts", "every": EVERY}
        if self.has_view_permission(request):
            context.update(self._panel(request))
        return super().changelist_view(request, context)  # type: ignore[no-any-return]  # untyped base

    def panel(self, request: HttpRequest) -> HttpResponse:
        """The part of the page that moves."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        response = TemplateResponse(request, "admin/analytics/alert/panel.html", self._panel(request))
        response["Cache-Control"] = "no-store"
        return response

    def _panel(self, request: HttpRequest) -> dict[str, Any]:
        alerts = selectors.open_alerts()
        return {
            "cards": [_card(one) for one in alerts],
            "pending": Alert.objects.filter(resolved_at=None, phase=Phase.PENDING).count(),
            "health": selectors.health(),
            "rules": AlertRule.objects.filter(is_on=True).count(),
            "may_act": self.has_act_permission(request),
        }

    @admin.display(description="Severity")
    def weight(self, row: Alert) -> SafeString:
        return marks.severity(row.severity)

    @admin.display(description="State")
    def state(self, row: Alert) -> SafeString:
        return marks.state(row)

    @admin.display(description="Opened")
    def opened(self, row: Alert) -> str:
        return looks.moment(row.opened_at)

    @admin.display(description="Lasted")
    def lasted(self, row: Alert) -> str:
        if row.opened_at is None:
            return "—"
        return duration((row.resolved_at or timezone.now()) - row.opened_at)

    @admin.display(description="Taken on by")
    def takes_care(self, row: Alert) -> str:
        return row.acknowledged_by or "—"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        alert = self.object_or_404(request, object_id)
        if not self.has_view_permission(request, alert):
            raise PermissionDenied
        told = AlertMessage.objects.filter(events__alert=alert).select_related("route").distinct().order_by("id")
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": alert,
            "title": alert.title,
            "alert": alert,
            "badge": marks.state(alert),
            "severity": marks.severity(alert.severity),
            "lasted": self.lasted(alert),
            "events": [(event, marks.HAPPENING_TONES.get(event.what, "sand")) for event in alert.events.all()[:LATEST]],
            "messages_sent": [(one, marks.message_state(one)) for one in told[:LATEST]],
            "may_act": self.has_act_permission(request, alert) and alert.is_firing,
        }
        return TemplateResponse(request, "admin/analytics/alert/detail.html", context)

    @page_action(description="Acknowledge…", permission="act")
    def acknowledge(self, request: HttpRequest, object_id: str) -> HttpResponse:
        alert = self.object_or_404(request, object_id)
        form = AcknowledgeForm(request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            by = request.user.get_username()
            if services.acknowledge(alert, by=by, note=form.cleaned_data["note"]):
                messages.success(request, "You take care of it. Nobody is reminded; its end will be told.")
            else:
                messages.warning(request, "Somebody was faster, or it is over.")
            return redirect(_PAGE, alert.pk)
        words = (
            "You say that you take care of it: there are no more reminders, and when it is over, that is told as ever."
        )
        return self._ask(request, alert, form, ("Acknowledge", words))

    @page_action(description="Silence…", permission="act")
    def silence(self, request: HttpRequest, object_id: str) -> HttpResponse:
        alert = self.object_or_404(request, object_id)
        if alert.rule is None:
            messages.warning(request, "Its rule is gone: there is nothing to silence.")
            return redirect(_PAGE, alert.pk)
        form = SilenceForm(request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            span = timedelta(minutes=form.cleaned_data["minutes"])
            by, reason = request.user.get_username(), form.cleaned_data["reason"]
            services.silence(alert, span=span, by=by, reason=reason)
            messages.success(request, f"Nobody is told of it for {duration(span)}. It can be ended under Silences.")
            return redirect(_PAGE, alert.pk)
        words = (
            "Nobody is told of this rule for the same channel and provider. It opens and clears as ever, and is shown."
        )
        return self._ask(request, alert, form, ("Silence", words))

    def _ask(self, request: HttpRequest, alert: Alert, form: forms.Form, words: tuple[str, str]) -> TemplateResponse:
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": alert,
            "title": f"{words[0]}: {alert.title}",
            "button": words[0],
            "words": words[1],
            "form": form,
            "back": reverse(_PAGE, args=[alert.pk]),
        }
        return TemplateResponse(request, "admin/analytics/alert/act.html", context)


def _card(one: selectors.OpenAlert) -> dict[str, Any]:
    return {
        "alert": one,
        "tone": marks.SEVERITY_TONES[one.severity] if one.is_loud else "sand",
        "severity": marks.severity(one.severity),
        "since": looks.moment(one.opened_at),
    }
