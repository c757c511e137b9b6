"""The dead-letter workbench: what was given up on, grouped by why; the letters of a group; putting them back."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html

from core.admin import BigTableAdmin, Question, ReadOnlyMixin, page_action
from notifications.admin import looks, timeline
from notifications.admin import replay as replay_pages
from notifications.admin.dead_letter_filters import (
    LIST,
    CodeFilter,
    DiedFilter,
    ProviderFilter,
    ReplayedFilter,
    list_address,
    replay_address,
    replay_address_of_list,
    words_of_list,
)
from notifications.admin.replay_form import ReplayForm
from notifications.models import DeadLetter, Delivery, Notification
from notifications.services import letters, replays
from notifications.services.letters import LetterGroup
from notifications.services.replays import ReplayRefused
from preferences.models import Recipient


@admin.register(DeadLetter)
class DeadLetterAdmin(ReadOnlyMixin, BigTableAdmin):
    """Written by DeliveryTracker. The bare address shows the groups; with a filter or a search it is the list."""

    list_display = ("short", "way", "priority", "why", "provider", "died", "state")
    list_display_links = ("short",)
    list_filter = (DiedFilter, "channel", ProviderFilter, "cause", CodeFilter, ReplayedFilter)
    search_exact = ("delivery_id",)
    search_help_text = "Delivery id"
    list_before_template = "admin/notifications/deadletter/before.html"
    actions = ("replay",)
    actions_detail = ("replay_one",)

    def get_urls(self) -> list[URLPattern]:
        form = path(
            "replay/", self.admin_site.admin_view(self.replay_form_view), name="notifications_deadletter_replay_form"
        )
        return [form, *super().get_urls()]

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
        who = "closed: nothing was left to send" if row.is_closed else f"by {row.replayed_by}"
        return format_html("{} {}", looks.moment(row.replayed_at), who)

    # --- the workbench --------------------------------------------------------------------------------------------

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if request.method == "GET" and not request.GET:
            return self._groups(request)
        address = replay_address_of_list(request.GET.dict()) if self.has_act_permission(request) else None
        which = words_of_list(request.GET.dict())
        context = {**(extra_context or {}), "replay_address": address, "which": which}
        return super().changelist_view(request, context)  # type: ignore[no-any-return]  # untyped base

    def _groups(self, request: HttpRequest) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        found = letters.groups()
        total = sum(group.count for group in found)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Dead letters",
            "groups": [_shown(group) for group in found],
            "total": f"{total:,}{'+' if any(group.count >= letters.COUNT_CAP for group in found) else ''}",
            "running": replay_pages.running(),
            "may_act": self.has_act_permission(request),
        }
        return TemplateResponse(request, "admin/notifications/deadletter/groups.html", context)

    def replay_form_view(self, request: HttpRequest) -> HttpResponse:
        """Choose, see how many there are, agree. Only a POST with `start` begins a replay."""
        if not self.has_act_permission(request):
            raise PermissionDenied
        posted = request.POST.dict()
        starts = "start" in posted
        if not starts:  # count anew what the page is about to show
            posted.pop("upto", None)
            posted.pop("typed", None)
        form = ReplayForm(posted or request.GET.dict())
        if starts and form.is_valid() and form.agreed():
            try:
                run = replays.start(
                    form.wanted,
                    per_minute=form.cleaned_data["rate"],
                    by=request.user.get_username(),
                    via="admin",
                    upto=form.cleaned_data["upto"],
                )
            except ReplayRefused as error:
                form.add_error(None, str(error))
            else:
                messages.success(request, "The replay has begun.")
                return redirect("admin:notifications_replayrun_change", run.pk)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Replay dead letters",
            "form": form,
            "is_known": "rate" in getattr(form, "cleaned_data", {}) and "upto" in form.cleaned_data,
        }
        return TemplateResponse(request, "admin/notifications/deadletter/replay.html", context)

    # --- one letter -----------------------------------------------------------------------------------------------

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
        ticked = list(queryset)
        if request.POST.get("confirmed"):
            self._replay(request, ticked)
            return None
        hidden = [("action", "replay"), *(("_selected_action", str(letter.pk)) for letter in ticked)]
        return self.confirm(request, _question(len(ticked), back=reverse(LIST), hidden=hidden))

    @page_action(description="Replay…", permission="act")
    def replay_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        letter = self.object_or_404(request, object_id)
        page = reverse("admin:notifications_deadletter_change", args=[letter.pk])
        if request.method == "POST" and request.POST.get("confirmed"):
            self._replay(request, [letter])
            return redirect(page)
        return self.confirm(request, _question(1, back=page, hidden=()))

    def _replay(self, request: HttpRequest, chosen: Sequence[DeadLetter]) -> None:
        try:
            run = replays.at_once([letter.pk for letter in chosen], by=request.user.get_username(), via="admin")
        except ReplayRefused as error:
            messages.warning(request, str(error))
            return
        for letter in chosen:
            self.log_change(request, letter, f"Replayed in replay {run.pk}")
        text = f"{run.replayed} of {len(chosen)} put back into the outbox."
        messages.add_message(request, messages.SUCCESS if run.replayed else messages.WARNING, text)


def _shown(group: LetterGroup) -> dict[str, Any]:
    """A group as its card tells it."""
    return {
        "group": group,
        "icon": looks.ICONS[group.channel],
        "channel": letters.label(group.channel),
        "cause": letters.label(group.cause),
        "why": looks.words(group.code) if group.code else "",
        "list": list_address(group.filter),
        "replay": replay_address(group.filter),
    }


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
