"""Dead letters: work that was given up on, why, and putting it back."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html

from core.admin import BigTableAdmin, Question, ReadOnlyMixin, page_action
from notifications.admin import looks, timeline
from notifications.models import DeadLetter, Delivery, Notification
from notifications.services.tracking import DeliveryTracker
from preferences.models import Recipient

_LIST = "admin:notifications_deadletter_changelist"


class ReplayedFilter(admin.SimpleListFilter):
    """Put back already, or still to be decided."""

    title = "replayed"
    parameter_name = "replayed"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("no", "Not replayed"), ("yes", "Replayed")]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if self.value() in {"no", "yes"}:
            return queryset.filter(replayed_at__isnull=self.value() == "no")
        return queryset


@admin.register(DeadLetter)
class DeadLetterAdmin(ReadOnlyMixin, BigTableAdmin):
    """Written by DeliveryTracker. Replaying gives a delivery a fresh set of attempts."""

    list_display = ("short", "way", "priority", "why", "provider", "died", "state")
    list_display_links = ("short",)
    list_filter = ("channel", "cause", ReplayedFilter)
    search_exact = ("delivery_id",)
    search_help_text = "Delivery id"
    actions = ("replay",)
    actions_detail = ("replay_one",)

    @admin.display(description="Delivery")
    def short(self, row: DeadLetter) -> str:
        return looks.short_id(row.delivery_id)

    @admin.display(description="Channel")
    def way(self, row: DeadLetter) -> str:
        return looks.channel(row.channel)

    @admin.display(description="Cause")
    def why(self, row: DeadLetter) -> str:
        return format_html(
            '<span class="cr-why">{} <span class="cr-subtle" title="{}">{}</span></span>',
            looks.badge(row.get_cause_display(), "red"),
            row.detail[:500],
            looks.words(row.code) if row.code else row.detail[:60],
        )

    @admin.display(description="Died")
    def died(self, row: DeadLetter) -> str:
        return looks.moment(row.created_at)

    @admin.display(description="Replayed")
    def state(self, row: DeadLetter) -> str:
        if row.replayed_at is None:
            return "—"
        return format_html("{} by {}", looks.moment(row.replayed_at), row.replayed_by or "someone")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        letter = self.object_or_404(request, object_id)
        if not self.has_view_permission(request, letter):
            raise PermissionDenied
        delivery = Delivery.objects.filter(pk=letter.delivery_id).first()
        notification = Notification.objects.filter(pk=delivery.notification_id).first() if delivery else None
        recipient = Recipient.objects.filter(pk=delivery.recipient_id).first() if delivery else None
        cards = timeline.cards(notification, recipient, only=letter.delivery_id) if notification else []
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": letter,
            "title": f"Dead letter {letter.pk}",
            "letter": letter,
            "why": looks.words(letter.code) if letter.code else "",
            "notification": notification,
            "recipient": recipient,
            "cards": cards,
            "can_replay": letter.replayed_at is None and self.has_act_permission(request),
        }
        return TemplateResponse(request, "admin/notifications/deadletter/detail.html", context)

    @admin.action(description="Replay…", permissions=["act"])
    def replay(self, request: HttpRequest, queryset: QuerySet[DeadLetter]) -> HttpResponse | None:
        letters = list(queryset)
        if request.POST.get("confirmed"):
            self._replay(request, letters)
            return None
        hidden = [("action", "replay"), *(("_selected_action", str(letter.pk)) for letter in letters)]
        return self.confirm(request, _question(len(letters), back=reverse(_LIST), hidden=hidden))

    @page_action(description="Replay…", permission="act")
    def replay_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        letter = self.object_or_404(request, object_id)
        page = reverse("admin:notifications_deadletter_change", args=[letter.pk])
        if request.method == "POST" and request.POST.get("confirmed"):
            self._replay(request, [letter])
            return redirect(page)
        return self.confirm(request, _question(1, back=page, hidden=()))

    def _replay(self, request: HttpRequest, letters: Sequence[DeadLetter]) -> None:
        put_back = DeliveryTracker().replay([letter.pk for letter in letters], by=request.user.get_username())
        for letter in letters:
            self.log_change(request, letter, "Replayed")
        text = f"{put_back} of {len(letters)} put back into the outbox."
        messages.add_message(request, messages.SUCCESS if put_back else messages.WARNING, text)


def _question(count: int, *, back: str, hidden: Sequence[tuple[str, str]]) -> Question:
    return Question(
        title=f"Replay {count} {'delivery' if count == 1 else 'deliveries'}?",
        message="Each gets a fresh set of attempts. Opt-outs, suppressions and expiry are looked at again; what was"
        " replayed before is left alone.",
        button="Replay",
        back=back,
        hidden=hidden,
        danger=False,
    )
