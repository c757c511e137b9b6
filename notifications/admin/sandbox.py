"""The sandbox in the admin: simulated providers as they behave, changed with a click, and what they received."""

from collections import defaultdict
from copy import copy
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from core.admin import BaseModelAdmin, ReadOnlyMixin
from notifications.admin import sandbox_words
from notifications.admin.sandbox_form import OptionsForm
from notifications.choices import Channel
from notifications.models import SandboxState, SimulatedCall
from notifications.services import sandbox
from notifications.services.sandbox import (
    PRESETS,
    CallFilter,
    InvalidOptions,
    SandboxService,
    Simulated,
    UnknownProvider,
)

#: Calls on the page of a provider, and on its card.
LATEST, BRIEF = 20, 3
#: The newest calls looked through for those of the cards.
LOOKED_THROUGH = 500
_PAGE = "admin:notifications_sandboxstate_change"


@admin.register(SandboxState)
class SandboxAdmin(ReadOnlyMixin, BaseModelAdmin):
    """One page for all simulated providers, and one for each, named by the provider: there is something to show and to
    change whether or not the sandbox has said anything of it."""

    def get_urls(self) -> list[URLPattern]:
        own = [
            path(
                f"<slug:provider>/{name}/",
                self.admin_site.admin_view(view),
                name=f"notifications_sandboxstate_{name}",
            )
            for name, view in (("preset", self.preset_view), ("reset", self.reset_view))
        ]
        urls: list[URLPattern] = super().get_urls()
        return own + urls

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> SandboxState | None:
        try:
            name = SandboxService().get(object_id).name
        except UnknownProvider:
            return None
        return SandboxState.objects.filter(pk=name).first() or SandboxState(provider=name)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        every = SandboxService().all()
        brief = _brief() if _may_see_calls(request) else {}
        sections = [
            (
                sandbox_words.reach(channel, every),
                [_card(one, brief) for one in every if one.channels[:1] == (channel,)],
            )
            for channel in Channel.values
        ]
        unused = [_card(one, brief) for one in every if not one.channels]
        context = {"title": "Sandbox", "sections": [s for s in sections if s[1]], "unused": unused, "presets": PRESETS}
        return self._page(request, "list.html", {**context, **(extra_context or {})})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        one = self._simulated(request, object_id)
        form = OptionsForm(
            request.POST if request.method == "POST" else None,
            base=sandbox.settings_of(one.name),
            overridden=one.overridden,
        )
        if request.method == "POST":
            self._must_act(request)
            if form.is_valid() and self._save(request, one.name, form):
                return redirect(_PAGE, one.name)
        context = {
            "title": one.name,
            "original": self.get_object(request, one.name),
            "card": _card(one, {}),
            "reach": [sandbox_words.reach(channel, SandboxService().all()) for channel in one.channels],
            "form": form,
            "presets": PRESETS,
            "calls": _latest(one.name) if _may_see_calls(request) else None,
            "is_recorded": one.options.record or not one.live,
        }
        return self._page(request, "detail.html", {**context, **(extra_context or {})})

    def preset_view(self, request: HttpRequest, provider: str) -> HttpResponse:
        """Let it behave as a preset says. POST alone."""
        one = self._simulated(request, provider)
        self._must_act(request)
        preset = next((preset for preset in PRESETS if preset.slug == request.POST.get("preset")), None)
        if request.method == "POST" and preset is not None:
            SandboxService().apply(one.name, preset, by=request.user.get_username())
            self._changed(request, one.name, f"{preset.title}: {preset.meaning.lower()}.")
        return self._back(request, one.name)

    def reset_view(self, request: HttpRequest, provider: str) -> HttpResponse:
        """Back to the settings. POST alone."""
        one = self._simulated(request, provider)
        self._must_act(request)
        if request.method == "POST":
            SandboxService().reset(one.name)
            self._changed(request, one.name, "It behaves as the settings say.")
        return self._back(request, one.name)

    def _simulated(self, request: HttpRequest, name: str) -> Simulated:
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            return SandboxService().get(name)
        except UnknownProvider:
            raise Http404("There is no such simulated provider.") from None

    def _must_act(self, request: HttpRequest) -> None:
        if not self.has_act_permission(request):
            raise PermissionDenied

    def _save(self, request: HttpRequest, name: str, form: OptionsForm) -> bool:
        try:
            SandboxService().replace(name, form.options(), by=request.user.get_username())
        except InvalidOptions as error:
            for option, text in error.errors.items():
                form.add_error(option or None, text)
            return False
        self._changed(request, name, "Saved.")
        return True

    def _changed(self, request: HttpRequest, name: str, text: str) -> None:
        self.log_change(request, SandboxState(provider=name), text)
        messages.success(request, f"{name}: {text} Workers follow within about a second.")

    def _back(self, request: HttpRequest, name: str) -> HttpResponse:
        if request.POST.get("from") == "list":
            return redirect("admin:notifications_sandboxstate_changelist")
        return redirect(_PAGE, name)

    def _page(self, request: HttpRequest, template: str, context: dict[str, Any]) -> TemplateResponse:
        opts = copy(self.opts)
        opts.verbose_name_plural = "sandbox"  # what the pages are called at their head; rows are of no interest
        if original := context.get("original"):
            original._meta = opts
        page = {
            **self.admin_site.each_context(request),
            "opts": opts,
            "may_act": self.has_act_permission(request),
            **context,
        }
        return TemplateResponse(request, f"admin/notifications/sandboxstate/{template}", page)


def _card(one: Simulated, brief: dict[str, list[SimulatedCall]]) -> dict[str, Any]:
    """What is shown of a provider. Where live and test traffic are treated alike, once."""
    live, tests = (sandbox_words.behaviour(options, one.channels) for options in (one.options, one.for_tests))
    if one.live and one.tests and live != tests:
        shown = [("Live traffic", live), ("Test keys", tests)]
    else:
        shown = [("", live if one.live else tests)]
    name, tone = sandbox_words.weather(one.options if one.live else one.for_tests)
    who, who_tone = sandbox_words.touched(one)
    return {
        "one": one,
        "weather": name,
        "tone": tone,
        "who": who,
        "who_tone": who_tone,
        "behaviour": shown,
        "calls": [sandbox_words.message(call) for call in brief.get(one.name, [])],
    }


def _brief() -> dict[str, list[SimulatedCall]]:
    """The latest calls by provider, of those that were busy of late."""
    found: dict[str, list[SimulatedCall]] = defaultdict(list)
    for call in SimulatedCall.objects.order_by("-id")[:LOOKED_THROUGH]:
        if len(found[call.provider]) < BRIEF:
            found[call.provider].append(call)
    return found


def _latest(name: str) -> list[sandbox_words.Message]:
    rows = list(sandbox.calls(CallFilter(provider=name)).order_by("-id")[:LATEST])
    people = sandbox.external_ids(rows)
    return [sandbox_words.message(row, people.get(row.recipient_id, "")) for row in rows]


def _may_see_calls(request: HttpRequest) -> bool:
    """Addresses are personal data: a permission of their own."""
    return bool(request.user.has_perm("notifications.view_simulatedcall"))
