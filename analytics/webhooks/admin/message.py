"""The delivery log of webhooks: each message, each request it took, and telling it again."""

from datetime import timedelta
from typing import Any

import orjson
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse

from analytics.webhooks import payload, replays
from analytics.webhooks.admin import marks
from analytics.webhooks.models import WebhookAttempt, WebhookMessage
from analytics.webhooks.vocabulary import AttemptOutcome
from core.admin import BigTableAdmin, Question, ReadOnlyMixin, page_action
from notifications.admin import looks
from notifications.models import Notification

#: Attempts that the page shows.
MAX_ATTEMPTS = 50


@admin.register(WebhookMessage)
class WebhookMessageAdmin(ReadOnlyMixin, BigTableAdmin):
    """Written by the pipeline."""

    list_display = ("short", "what", "where", "state", "tries", "when")
    list_display_links = ("short",)
    list_filter = ("status", "end_reason", "channel")
    list_select_related = ("endpoint",)
    indexed_filters = frozenset({"endpoint__id__exact"})
    filter_window = timedelta(days=7)
    search_exact = ("id", "notification_id")
    search_help_text = "Message id or notification id"
    list_before_template = "admin/analytics/webhookmessage/before.html"
    actions = ("replay",)
    actions_detail = ("replay_one",)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        return lookup == "endpoint__id__exact" or super().lookup_allowed(lookup, value, request)

    @admin.display(description="Message")
    def short(self, row: WebhookMessage) -> str:
        return looks.short_id(row.pk)

    @admin.display(description="Event")
    def what(self, row: WebhookMessage) -> str:
        return marks.event(row.type)

    @admin.display(description="Endpoint")
    def where(self, row: WebhookMessage) -> str:
        return marks.address(row.endpoint.url)

    @admin.display(description="State")
    def state(self, row: WebhookMessage) -> str:
        return marks.message(row)

    @admin.display(description="Attempts")
    def tries(self, row: WebhookMessage) -> int:
        return row.tries

    @admin.display(description="Happened")
    def when(self, row: WebhookMessage) -> str:
        return looks.moment(row.at)

    # --- one message ----------------------------------------------------------------------------------------------

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        row = self.object_or_404(request, object_id)
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        attempts = WebhookAttempt.objects.filter(message=row).order_by("-id")[:MAX_ATTEMPTS]
        known = row.notification_id and Notification.objects.filter(pk=row.notification_id).exists()
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": row,
            "title": f"Webhook {marks.event(row.type).lower()}",
            "message": row,
            "event": marks.event(row.type),
            "badge": marks.message(row),
            "why": marks.why(row),
            "webhook_id": payload.message_id(row.pk.bytes),
            "is_known": known,
            "body": _body(row),
            "attempts": [_shown(one) for one in reversed(attempts)],
            "is_open": row.status in ("queued", "sending"),
            "can_replay": row.status not in ("queued", "sending") and self.has_act_permission(request),
        }
        return TemplateResponse(request, "admin/analytics/webhookmessage/detail.html", context)

    @page_action(description="Replay…", permission="act", icon="replay")
    def replay_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self.object_or_404(request, object_id)
        page = reverse("admin:analytics_webhookmessage_change", args=[row.pk])
        if request.method == "POST" and request.POST.get("confirmed"):
            self._replay(request, [row])
            return redirect(page)
        return self.confirm(request, _question(1, back=page, hidden=()))

    @admin.action(description="Replay…", permissions=["act"])
    def replay(self, request: HttpRequest, queryset: QuerySet[WebhookMessage]) -> HttpResponse | None:
        ticked = list(queryset.select_related("endpoint"))
        if request.POST.get("confirmed"):
            self._replay(request, ticked)
            return None
        hidden = [("action", "replay"), *(("_selected_action", str(row.pk)) for row in ticked)]
        back = reverse("admin:analytics_webhookmessage_changelist")
        return self.confirm(request, _question(len(ticked), back=back, hidden=hidden))

    def _replay(self, request: HttpRequest, chosen: list[WebhookMessage]) -> None:
        by = request.user.get_username()
        back = 0
        for endpoint in {row.endpoint for row in chosen}:
            back += replays.replay(endpoint, [row.pk for row in chosen if row.endpoint_id == endpoint.pk], by=by)
        for row in chosen:
            self.log_change(request, row, "Replayed")
        text = f"{back} of {len(chosen)} on the way again."
        messages.add_message(request, messages.SUCCESS if back else messages.WARNING, text)


def _question(count: int, *, back: str, hidden: Any) -> Question:
    return Question(
        title=f"Replay {count} message{'' if count == 1 else 's'}?",
        message="Each gets a fresh set of attempts, with the webhook-id it had: who has it already can tell.",
        button="Replay",
        back=back,
        hidden=hidden,
        danger=False,
    )


def _body(row: WebhookMessage) -> str:
    """What is sent, in a shape for people."""
    told = payload.told(row)
    known = payload.about([told.notification]) if told.notification else {}
    said = payload.body(told, known[told.notification]) if told.notification in known else payload.body(told)
    return orjson.dumps(orjson.loads(said), option=orjson.OPT_INDENT_2).decode()


def _shown(one: WebhookAttempt) -> dict[str, Any]:
    return {
        "attempt": one,
        "title": AttemptOutcome(one.outcome).label,
        "tone": marks.attempt_tone(one.outcome),
        "took": f"{one.milliseconds:,} ms" if one.milliseconds < 10_000 else f"{one.milliseconds / 1000:.1f} s",
    }
