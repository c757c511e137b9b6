"""Routes: the ways to people, tried out with a button."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminTextareaWidget

from analytics.alerts import services
from analytics.alerts.admin import marks
from analytics.alerts.admin.spans import SpanField
from analytics.alerts.choices import MessageState, Receives, RouteKind
from analytics.alerts.models import AlertMessage, AlertRoute
from analytics.alerts.routes import WAYS, InvalidTarget, Target
from core.admin import BaseModelAdmin, Question, page_action
from notifications.admin import looks

#: Messages on a route's page.
LATEST = 10
_PAGE = "admin:analytics_alertroute_change"
_ICONS = {RouteKind.EMAIL: "mail", RouteKind.WEBHOOK: "webhook", RouteKind.SLACK: "forum", RouteKind.IN_APP: "inbox"}


class RouteForm(forms.ModelForm):
    """A way to people, checked as far as can be seen without asking anybody."""

    wait_seconds = SpanField(
        label="Wait", most=600, initial=10, help_text="What else happens within so long goes into the same message."
    )

    class Meta:
        model = AlertRoute
        fields: ClassVar = [
            "name", "kind", "is_on", "target", "receives", "group_by", "wait_seconds", "fallback",
        ]  # fmt: skip
        widgets: ClassVar = {"target": UnfoldAdminTextareaWidget(attrs={"rows": 3})}
        help_texts: ClassVar = {
            "target": "Email: addresses, one a line. Webhook, Slack: the URL. In-app: external ids of recipients, one a"
            " line; empty: staff whose user name is their external id."
        }

    def clean(self) -> dict[str, Any]:
        super().clean()
        given: dict[str, Any] = self.cleaned_data
        if {"kind", "target"} <= given.keys():
            try:
                WAYS[given["kind"]].check(Target(given.get("name", ""), given["target"]))
            except InvalidTarget as error:
                self.add_error("target", str(error))
        return given

    def clean_fallback(self) -> AlertRoute | None:
        found: AlertRoute | None = self.cleaned_data["fallback"]
        if found is not None and found.pk == self.instance.pk:
            raise ValidationError("A route cannot stand in for itself.")
        return found


@admin.register(AlertRoute)
class AlertRouteAdmin(BaseModelAdmin):
    """Where alerts go. A target may hold a secret, so lists and histories don't show it."""

    form = RouteForm
    list_display = ("name", "way", "listens", "last", "stand_in", "state")
    list_display_links = ("name",)
    list_filter = ("kind", "is_on")
    search_fields = ("name",)
    actions_detail = ("send_test", "new_secret")
    readonly_fields = ("signs_with", "latest")
    list_before_template = "admin/analytics/alertroute/before.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[AlertRoute]:
        latest = AlertMessage.objects.filter(route=OuterRef("pk")).order_by("-id")
        rows: QuerySet[AlertRoute] = super().get_queryset(request).select_related("fallback")
        return rows.annotate(last_id=Subquery(latest.values("pk")[:1]))

    def prepare_page(self, rows: Any) -> None:
        found = AlertMessage.objects.in_bulk([row.last_id for row in rows if row.last_id])
        for row in rows:
            row.last_message = found.get(row.last_id)

    def get_fieldsets(self, request: HttpRequest, obj: AlertRoute | None = None) -> Any:
        may_see = self.has_change_permission(request, obj)  # a target and a secret are keys to somebody's door
        sets: list[Any] = [
            (None, {"fields": ("name", "kind", "target", "is_on") if may_see else ("name", "kind", "is_on")}),
            ("What it is told", {"fields": ("receives", ("group_by", "wait_seconds"), "fallback")}),
        ]
        if obj is not None and obj.secret and may_see:
            sets.append(("Signature", {"fields": ("signs_with",)}))
        if obj is not None:
            sets.append(("Latest messages", {"fields": ("latest",)}))
        return sets

    def save_model(self, request: HttpRequest, obj: AlertRoute, form: forms.ModelForm, change: bool) -> None:
        services.prepare_route(obj)
        super().save_model(request, obj, form, change)

    @admin.display(description="Way", ordering="kind")
    def way(self, route: AlertRoute) -> SafeString:
        symbol = '<span class="cr-channel"><span class="material-symbols-outlined cr-symbol">{}</span>{}</span>'
        return format_html(symbol, _ICONS[RouteKind(route.kind)], route.get_kind_display())

    @admin.display(description="Is told")
    def listens(self, route: AlertRoute) -> str:
        words = {
            Receives.ALL: "everything",
            Receives.WARNINGS: "warnings and worse",
            Receives.CRITICAL: "critical alone",
        }
        return words.get(Receives(route.receives), "what it is named for")

    @admin.display(description="Last message")
    def last(self, route: Any) -> SafeString | str:
        message = getattr(route, "last_message", None)
        if message is None:
            return "none yet"
        return format_html("{} {}", marks.message_state(message), looks.moment(message.created_at))

    @admin.display(description="Second route")
    def stand_in(self, route: AlertRoute) -> str:
        return route.fallback.name if route.fallback else "—"

    @admin.display(description="State", ordering="is_on")
    def state(self, route: AlertRoute) -> SafeString:
        return looks.badge("on", "green") if route.is_on else looks.badge("off", "grey")

    @admin.display(description="Secret")
    def signs_with(self, route: AlertRoute) -> SafeString:
        return format_html('<code class="cr-key">{}</code>', route.secret)

    @admin.display(description="Messages")
    def latest(self, route: AlertRoute) -> SafeString | str:
        rows = [
            (marks.message_state(one), one.subject or "—", one.answer, looks.moment(one.created_at))
            for one in route.messages.order_by("-id")[:LATEST]
        ]
        line = '<li>{} <b>{}</b> <span class="cr-subtle">{} {}</span></li>'
        return format_html('<ul class="cr-told">{}</ul>', format_html_join("", line, rows)) if rows else "None yet."

    @page_action(description="Send a test…", icon="send", permission="act")
    def send_test(self, request: HttpRequest, object_id: str) -> HttpResponse:
        route = self.object_or_404(request, object_id)
        page = reverse(_PAGE, args=[route.pk])
        if request.method == "POST" and request.POST.get("confirmed"):
            message = services.send_test(route)
            if message.state == MessageState.SENT:
                messages.success(request, f"The test went out. {message.answer}")
            else:
                messages.error(request, f"The test failed. {message.answer}")
            return redirect(page)
        question = Question(
            title=f"Send a test to {route.name}?",
            message="It goes out at once and says that it is a test. How it went is shown here; it is not tried again.",
            button="Send the test",
            back=page,
            danger=False,
        )
        return self.confirm(request, question)

    @page_action(description="New secret…", icon="key", permission="act")
    def new_secret(self, request: HttpRequest, object_id: str) -> HttpResponse:
        route = self.object_or_404(request, object_id)
        page = reverse(_PAGE, args=[route.pk])
        if route.kind != RouteKind.WEBHOOK:
            messages.warning(request, "Only webhooks are signed.")
            return redirect(page)
        if request.method == "POST" and request.POST.get("confirmed"):
            services.renew_secret(route)
            self.log_change(request, route, "New secret")
            messages.success(request, "From now on it signs with the new secret.")
            return redirect(page)
        question = Question(
            title=f"A new secret for {route.name}?",
            message="Messages are signed with it from now on. Until the receiver knows it, it refuses them, and the"
            " second route is told.",
            button="New secret",
            back=page,
        )
        return self.confirm(request, question)
