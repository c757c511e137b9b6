"""Replays: who put which dead letters back, how far it is, and a way to stop."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from core.admin import BigTableAdmin, Question, ReadOnlyMixin, page_action
from notifications.admin import looks
from notifications.models import ReplayRun
from notifications.models.replay import ReplayState
from notifications.services import replays
from notifications.services.letters import LetterFilter

_TONES = {ReplayState.RUNNING: "blue", ReplayState.DONE: "green", ReplayState.STOPPED: "sand"}


def state_badge(run: ReplayRun) -> SafeString:
    return looks.badge(run.get_state_display().lower(), _TONES[ReplayState(run.state)])


def progress(run: ReplayRun) -> SafeString:
    """How many went back, of how many."""
    return format_html(
        '<span class="cr-progress"><progress max="{}" value="{}" aria-label="Progress"></progress>'
        "<span>{} of {}</span></span>",
        run.matched,
        run.matched if run.state == ReplayState.DONE else run.replayed,
        f"{run.replayed:,}",
        f"{run.matched:,}",
    )


def rate(run: ReplayRun) -> str:
    return "at once" if run.per_minute == replays.MAX_PER_MINUTE else f"{run.per_minute:,} a minute"


def running(limit: int = replays.MAX_RUNNING) -> list[dict[str, Any]]:
    """The replays under way, as the workbench shows them."""
    found = ReplayRun.objects.filter(state=ReplayState.RUNNING).order_by("-id")[:limit]
    return [{"run": run, "which": words(run), "progress": progress(run), "rate": rate(run)} for run in found]


def words(run: ReplayRun) -> str:
    return LetterFilter.of(run.filters).words()


@admin.register(ReplayRun)
class ReplayRunAdmin(ReadOnlyMixin, BigTableAdmin):
    """Written by services.replays, carried out by the maintenance process. The audit trail: nothing here is edited."""

    list_display = ("label", "state_now", "went_back", "which", "speed", "by", "begun")
    list_display_links = ("label",)
    list_filter = ("state",)
    list_before_template = "admin/notifications/replayrun/before.html"
    actions = None
    actions_detail = ("stop",)

    def has_view_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Whoever sees the dead letters sees who replayed them."""
        may = request.user.has_perm
        return super().has_view_permission(request, obj) or any(
            may(f"notifications.{verb}_deadletter") for verb in ("view", "change")
        )

    def has_act_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Whoever may replay may stop a replay, their own and others'."""
        return bool(request.user.has_perm("notifications.change_deadletter"))

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        moving = ReplayRun.objects.filter(state=ReplayState.RUNNING).exists()
        return super().changelist_view(request, {**(extra_context or {}), "moving": moving})  # type: ignore[no-any-return]  # untyped base

    @admin.display(description="Replay")
    def label(self, run: ReplayRun) -> str:
        return str(run.pk)

    @admin.display(description="State")
    def state_now(self, run: ReplayRun) -> SafeString:
        return state_badge(run)

    @admin.display(description="Went back")
    def went_back(self, run: ReplayRun) -> SafeString:
        return progress(run)

    @admin.display(description="Which letters")
    def which(self, run: ReplayRun) -> SafeString:
        return format_html('<span class="cr-why">{}</span>', words(run))

    @admin.display(description="Rate")
    def speed(self, run: ReplayRun) -> str:
        return rate(run)

    @admin.display(description="Begun")
    def begun(self, run: ReplayRun) -> str | SafeString:
        return looks.moment(run.created_at)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        run = self.object_or_404(request, object_id)
        if not self.has_view_permission(request, run):
            raise PermissionDenied
        is_running = run.state == ReplayState.RUNNING
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": run,
            "title": f"Replay {run.pk}",
            "run": run,
            "is_running": is_running,
            "is_slow": is_running and replays.is_late(run),
            "which": words(run),
            "badge": state_badge(run),
            "progress": progress(run),
            "rate": rate(run),
            "left_out": run.matched - run.replayed if run.state == ReplayState.DONE else 0,
            "can_stop": is_running and self.has_act_permission(request, run),
        }
        return TemplateResponse(request, "admin/notifications/replayrun/detail.html", context)

    @page_action(description="Stop…", permission="act")
    def stop(self, request: HttpRequest, object_id: str) -> HttpResponse:
        run = self.object_or_404(request, object_id)
        page = reverse("admin:notifications_replayrun_change", args=[run.pk])
        if request.method == "POST" and request.POST.get("confirmed"):
            if replays.stop(run.pk, by=request.user.get_username()):
                messages.success(request, "Stopped. What went back stays in the outbox; the rest stays where it is.")
            else:
                messages.warning(request, "It had ended already.")
            return redirect(page)
        question = Question(
            title=f"Stop replay {run.pk}?",
            message="What went back is sent. The other letters stay open, and another replay can take them.",
            button="Stop",
            back=page,
        )
        return self.confirm(request, question)
