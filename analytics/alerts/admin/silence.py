"""Silences: who asked for quiet, about what, until when, and why."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from analytics.alerts import services
from analytics.alerts.admin.rule_form import ProviderInput, check_provider
from analytics.alerts.admin.spans import SpanField
from analytics.alerts.models import Silence
from core.admin import BaseModelAdmin, Question, page_action
from core.moments import database_now
from notifications.admin import looks
from notifications.choices import Channel

_PAGE = "admin:analytics_silence_change"


class SilenceForm(forms.ModelForm):
    """From now on, for so long."""

    span = SpanField(
        label="For", least=60, most=int(services.MAX_SILENCE.total_seconds()), initial="1h", help_text="30m, 2h, 3d"
    )

    class Meta:
        model = Silence
        fields: ClassVar = ["reason", "rule", "channel", "provider"]
        widgets: ClassVar = {"provider": ProviderInput}

    def clean_provider(self) -> str:
        name = str(self.cleaned_data["provider"]).strip()
        check_provider(name)
        return name


@admin.register(Silence)
class SilenceAdmin(BaseModelAdmin):
    """Made here or on an alert's page; never edited, only ended. They stay to be read."""

    list_display = ("reason", "about", "state", "begins", "ends", "by")
    list_display_links = ("reason",)
    list_filter = ("channel",)
    search_fields = ("reason", "by")
    actions_detail = ("end",)

    def get_form(self, request: HttpRequest, obj: Silence | None = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is None:
            kwargs["form"] = SilenceForm
        return super().get_form(request, obj, change=change, **kwargs)

    def get_fields(self, request: HttpRequest, obj: Silence | None = None) -> Sequence[str]:
        if obj is None:
            return ("reason", "span", "rule", "channel", "provider")
        return ("reason", "about", "state", "starts_at", "ends_at", "by")

    def get_readonly_fields(self, request: HttpRequest, obj: Silence | None = None) -> Sequence[str]:
        return () if obj is None else tuple(self.get_fields(request, obj))

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Silence, form: forms.ModelForm, change: bool) -> None:
        if change:
            return
        obj.starts_at = database_now()
        obj.ends_at = obj.starts_at + timedelta(seconds=form.cleaned_data["span"])
        obj.by = request.user.get_username()
        super().save_model(request, obj, form, change)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("rule")

    @admin.display(description="About")
    def about(self, one: Silence) -> str:
        parts = [
            one.rule.name if one.rule else "every rule",
            str(Channel(one.channel).label) if one.channel else "",
            one.provider,
        ]
        return ", ".join(filter(None, parts))

    @admin.display(description="State")
    def state(self, one: Silence) -> SafeString:
        now = timezone.now()
        if one.ends_at <= now:
            return looks.badge("Over", "grey")
        return looks.badge("In force", "sand") if one.starts_at <= now else looks.badge("To come", "blue")

    @admin.display(description="From")
    def begins(self, one: Silence) -> str:
        return looks.moment(one.starts_at)

    @admin.display(description="Until")
    def ends(self, one: Silence) -> SafeString:
        return format_html("{}", looks.moment(one.ends_at))

    @page_action(description="End now…", icon="notifications_active", permission="act")
    def end(self, request: HttpRequest, object_id: str) -> HttpResponse:
        one = self.object_or_404(request, object_id)
        page = reverse(_PAGE, args=[one.pk])
        if request.method == "POST" and request.POST.get("confirmed"):
            if services.end_silence(one):
                self.log_change(request, one, "Ended")
                messages.success(request, "It is over. What still fires is told with the next look.")
            else:
                messages.warning(request, "It was over already.")
            return redirect(page)
        question = Question(
            title="End this silence?",
            message="Alerts that it covered and that still fire are told at once.",
            button="End it",
            back=page,
            danger=False,
        )
        return self.confirm(request, question)
