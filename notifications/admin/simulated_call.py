"""What simulated providers received, call by call, and the answer of a phone that got a text message."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.text import Truncator

from notifications.admin import looks, sandbox_words
from notifications.admin.record import RecordAdmin, as_uuid
from notifications.models import SimulatedCall
from notifications.services import sandbox
from notifications.services.events_lane import LaneFull
from notifications.services.sandbox import SandboxService
from preferences.admin import recipient_id
from preferences.keywords import Keyword

#: Of an address that a list shows; a device token has hundreds.
ADDRESS_CHARACTERS = 32
#: Of an answer: one text message.
MAX_REPLY = 160
_AFTER_REPLY = {
    Keyword.STOP: "The phone answered STOP. Within about a second nothing is sent to its number any more.",
    Keyword.START: "The phone answered START. Within about a second its number is used again, unless something else"
    " speaks against it.",
    None: "The phone answered. This is no keyword, so nothing changes.",
}


class ProviderFilter(admin.SimpleListFilter):
    """By provider: the configured ones, without reading the table for their names."""

    title = "provider"
    parameter_name = "provider"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(one.name, one.name) for one in SandboxService().all()]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.filter(provider=self.value()) if self.value() else queryset


class OutcomeFilter(admin.SimpleListFilter):
    """By what the provider answered."""

    title = "outcome"
    parameter_name = "outcome"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(sandbox_words.OUTCOMES.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.filter(outcome=self.value()) if self.value() else queryset


def _may_reply(request: HttpRequest) -> bool:
    """As who may change how the sandbox behaves."""
    return bool(request.user.has_perm("notifications.change_sandboxstate"))


@admin.register(SimulatedCall)
class SimulatedCallAdmin(RecordAdmin):
    """Written by simulated providers as calls come in, kept for a week at most. Here: read."""

    list_display = ("short", "when", "provider", "to", "where", "answer", "kind")
    list_display_links = ("short",)
    list_filter = (ProviderFilter, OutcomeFilter, "is_test")
    search_help_text = "Delivery id, or recipient's external id"
    detail_template = "admin/notifications/simulatedcall/detail.html"

    def exact_query(self, term: str) -> Q | None:
        wanted = Q()
        if (key := as_uuid(term)) is not None:
            wanted |= Q(delivery_id=key) | Q(pk=key)
        if (person := recipient_id(term)) is not None:
            wanted |= Q(recipient_id=person)
        return wanted or None

    @admin.display(description="Delivery")
    def short(self, row: SimulatedCall) -> str:
        return looks.short_id(row.delivery_id)

    @admin.display(description="Address")
    def where(self, row: SimulatedCall) -> str:
        return Truncator(row.address).chars(ADDRESS_CHARACTERS)

    @admin.display(description="Answer")
    def answer(self, row: SimulatedCall) -> str:
        label = sandbox_words.OUTCOMES.get(row.outcome, row.outcome)
        wait = "" if row.retry_after is None else f"again after {row.retry_after:g} s"
        badge = looks.badge(label, sandbox_words.tone(row.outcome))
        return format_html('{} <span class="cr-subtle">{}</span>', badge, wait)

    @admin.display(description="From")
    def kind(self, row: SimulatedCall) -> str:
        return looks.badge("test key", "blue") if row.is_test else looks.badge("live", "amber")

    @admin.display(description="Received")
    def when(self, row: SimulatedCall) -> str:
        return looks.moment(row.at)

    def detail(self, request: HttpRequest, row: SimulatedCall) -> dict[str, Any]:
        people = sandbox.external_ids([row])
        return {
            "message": sandbox_words.message(row, people.get(row.recipient_id, "")),
            "may_reply": sandbox.can_reply(row) and _may_reply(request),
        }

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.reply_view)
        urls: list[URLPattern] = super().get_urls()
        return [path("<path:object_id>/reply/", view, name="notifications_simulatedcall_reply"), *urls]

    def reply_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Answer as the phone that got it. POST alone."""
        call = self.object_or_404(request, object_id)
        if not (self.has_view_permission(request, call) and _may_reply(request)):
            raise PermissionDenied
        if request.method == "POST":
            self._reply(request, call, request.POST.get("text", "").strip()[:MAX_REPLY])
        return redirect("admin:notifications_simulatedcall_change", object_id)

    def _reply(self, request: HttpRequest, call: SimulatedCall, text: str) -> None:
        if not text:
            messages.error(request, "Write what the phone is to answer.")
            return
        try:
            word = sandbox.reply(call, text)
        except (sandbox.NoReply, LaneFull) as error:
            messages.error(request, str(error))
            return
        messages.success(request, _AFTER_REPLY[word])
