"""Webhook endpoints: who is told, how that goes, and what can be done about it."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from analytics.webhooks import endpoints, replays, selectors
from analytics.webhooks.admin import marks
from analytics.webhooks.admin.form import EndpointForm
from analytics.webhooks.endpoints import EndpointRefused, Wishes
from analytics.webhooks.models import WebhookEndpoint
from core.admin import BaseModelAdmin, Question, page_action
from notifications.admin import looks

_LIST = "admin:analytics_webhookendpoint_changelist"


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(BaseModelAdmin):
    list_display = ("where", "state", "whose", "wants", "day", "answered")
    list_display_links = ("where",)
    list_filter = ("is_on", "off_reason")
    search_fields = ("url", "description", "keys__name")
    list_before_template = "admin/analytics/webhookendpoint/before.html"
    change_form_before_template = "admin/analytics/webhookendpoint/standing.html"
    form = EndpointForm
    fields = ("url", "description", "keys", "events")
    actions_detail = ("send_test", "switch", "rotate", "replay_failed", "remove")

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookEndpoint]:
        return super().get_queryset(request).filter(deleted_at=None).prefetch_related("keys")  # type: ignore[no-any-return]  # untyped base

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False  # Django's deletion would read the whole log; see `remove`

    def prepare_page(self, rows: Sequence[WebhookEndpoint]) -> None:
        tallies = selectors.last_day([row.pk for row in rows])
        for row in rows:
            row.tally = tallies[row.pk]  # type: ignore[attr-defined]  # for this page alone

    @admin.display(description="Endpoint")
    def where(self, row: WebhookEndpoint) -> str:
        return marks.address(row.url)

    @admin.display(description="State")
    def state(self, row: WebhookEndpoint) -> str:
        return marks.endpoint(row)

    @admin.display(description="API keys")
    def whose(self, row: WebhookEndpoint) -> str:
        return ", ".join(key.name for key in row.keys.all()) or "—"

    @admin.display(description="Events")
    def wants(self, row: WebhookEndpoint) -> str:
        return ", ".join(marks.event(type) for type in row.events) or "all"

    @admin.display(description="Last 24 hours")
    def day(self, row: WebhookEndpoint) -> str:
        return row.tally.words  # type: ignore[attr-defined,no-any-return]  # set by prepare_page

    @admin.display(description="Last taken")
    def answered(self, row: WebhookEndpoint) -> str:
        return looks.moment(row.last_success_at)

    # --- the page of one ------------------------------------------------------------------------------------------

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        context = {**(extra_context or {}), "show_save_and_add_another": False}
        if object_id is not None and request.method == "GET":
            endpoint = self.object_or_404(request, object_id)
            recent = selectors.recent(endpoint)
            context |= {
                "endpoint": endpoint,
                "state": marks.endpoint(endpoint),
                "tally": selectors.last_day([endpoint.pk])[endpoint.pk],
                "recent": [(row, marks.message(row), marks.event(row.type), marks.why(row)) for row in recent],
                "secret_hint": endpoint.secrets[0][-4:],
                "old_secret": endpoint.old_secret_until is not None and endpoint.old_secret_until > timezone.now(),
                "log": log_address(endpoint),
            }
        try:
            return super().changeform_view(request, object_id, form_url, context)  # type: ignore[no-any-return]  # untyped base
        except EndpointRefused as refused:  # what was right when the form was checked, and a colleague was quicker
            messages.error(request, f"Nothing was saved. {refused}")
            return HttpResponseRedirect(request.get_full_path())

    def save_model(self, request: HttpRequest, obj: WebhookEndpoint, form: forms.ModelForm, change: bool) -> None:
        assert isinstance(form, EndpointForm)  # noqa: S101 - the class above
        if change:
            stored = WebhookEndpoint.objects.get(pk=obj.pk)
            endpoints.change(stored, form.wishes())
            endpoints.set_keys(stored, form.cleaned_data["keys"])
            return
        made = endpoints.create(form.wishes(), keys=list(form.cleaned_data["keys"]))
        obj.pk = made.pk
        # Lives as long as this request: response_add shows it.
        request.issued_secret = made.secrets[0]  # type: ignore[attr-defined]  # ours

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """The service has written the keys."""

    def response_add(
        self, request: HttpRequest, obj: WebhookEndpoint, post_url_continue: str | None = None
    ) -> HttpResponse:
        return self._show_secret(request, obj, request.issued_secret)  # type: ignore[attr-defined]  # set by save_model

    def _show_secret(self, request: HttpRequest, endpoint: WebhookEndpoint, secret: str) -> HttpResponse:
        """The answer to the form is the page with the secret: it is in no URL, no session and no later page."""
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "The endpoint's secret",
            "endpoint": endpoint,
            "secret": secret,
        }
        response = TemplateResponse(request, "admin/analytics/webhookendpoint/issued.html", context)
        response["Cache-Control"] = "no-store"
        return response

    # --- what can be done -----------------------------------------------------------------------------------------

    @page_action(description="Test…", icon="send", permission="act")
    def send_test(self, request: HttpRequest, object_id: str) -> HttpResponse:
        endpoint = self.object_or_404(request, object_id)
        if not _agreed(request):
            return self._ask(request, endpoint, "Send a test message?", _TEST, "Send it", danger=False)
        try:
            made = endpoints.send_test(endpoint)
        except EndpointRefused as refused:
            messages.warning(request, str(refused))
            return redirect(_page(endpoint))
        self.log_change(request, endpoint, "Sent a test")
        return redirect("admin:analytics_webhookmessage_change", made.pk)

    @page_action(description="Off / on…", icon="power_settings_new", permission="act")
    def switch(self, request: HttpRequest, object_id: str) -> HttpResponse:
        endpoint = self.object_or_404(request, object_id)
        word = "off" if endpoint.is_on else "on"
        if not _agreed(request):
            text = _OFF if endpoint.is_on else _ON
            return self._ask(request, endpoint, f"Switch it {word}?", text, f"Switch {word}", danger=endpoint.is_on)
        endpoints.change(endpoint, Wishes(is_on=not endpoint.is_on))
        self.log_change(request, endpoint, f"Switched {word}")
        messages.success(request, f"The endpoint is {word}.")
        return redirect(_page(endpoint))

    @page_action(description="Secret…", icon="key", permission="act")
    def rotate(self, request: HttpRequest, object_id: str) -> HttpResponse:
        endpoint = self.object_or_404(request, object_id)
        if not _agreed(request):
            return self._ask(request, endpoint, "Make a new secret?", _ROTATE, "Make it", danger=False)
        secret = endpoints.rotate(endpoint)
        self.log_change(request, endpoint, "Exchanged the secret")
        return self._show_secret(request, endpoint, secret)

    @page_action(description="Replay…", icon="replay", permission="act")
    def replay_failed(self, request: HttpRequest, object_id: str) -> HttpResponse:
        endpoint = self.object_or_404(request, object_id)
        if not _agreed(request):
            return self._ask(request, endpoint, "Tell again what failed?", _REPLAY, "Replay", danger=False)
        since = endpoint.created_at
        done = replays.replay_failed(endpoint, since, timezone.now(), by=request.user.get_username())
        self.log_change(request, endpoint, f"Replayed {done.messages} messages")
        more = " There are more: replay again once these are through." if done.more else ""
        messages.success(request, f"{done.messages:,} messages are on their way again.{more}")
        return redirect(_page(endpoint))

    @page_action(description="Delete…", icon="delete", permission="act")
    def remove(self, request: HttpRequest, object_id: str) -> HttpResponse:
        endpoint = self.object_or_404(request, object_id)
        if not _agreed(request):
            return self._ask(request, endpoint, "Delete this endpoint?", _DELETE, "Delete", danger=True)
        self.log_deletions(request, [endpoint])
        endpoints.delete(endpoint)
        messages.success(request, "The endpoint is deleted. Its log is cleared away within minutes.")
        return redirect(_LIST)

    def _ask(
        self, request: HttpRequest, endpoint: WebhookEndpoint, title: str, text: str, button: str, *, danger: bool
    ) -> HttpResponse:
        question = Question(
            title=title, message=f"{endpoint.url}: {text}", button=button, back=_page(endpoint), danger=danger
        )
        return self.confirm(request, question)


_TEST = "it gets a message of the type endpoint.test, on the way that all take. You will see what it answered."
_OFF = "it is told nothing more, nothing is kept for it, and what waits to be told fails. That can be replayed later."
_ON = "it is told of events from now on. What failed meanwhile is not told by itself: replay it."
_ROTATE = "messages are signed with the new secret from now on, and with the old one as well for 24 hours."
_REPLAY = "every message that failed gets a fresh set of attempts, with the webhook-id it had, 5,000 at a time."
_DELETE = "it is told nothing more, and its log goes with it. This cannot be undone."


def _agreed(request: HttpRequest) -> bool:
    return request.method == "POST" and bool(request.POST.get("confirmed"))


def _page(endpoint: WebhookEndpoint) -> str:
    return reverse("admin:analytics_webhookendpoint_change", args=[endpoint.pk])


def log_address(endpoint: WebhookEndpoint) -> str:
    """The address of its delivery log."""
    return f"{reverse('admin:analytics_webhookmessage_changelist')}?endpoint__id__exact={endpoint.pk}"
