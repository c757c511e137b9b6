"""Providers: every channel's chain and how each in it stands; switching off and on, resetting a circuit."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminTextInputWidget

from core import redis
from core.admin import BaseModelAdmin, Question, ReadOnlyMixin
from notifications.admin import looks
from notifications.models import ProviderSwitch
from notifications.providers import circuit
from notifications.services import providers
from notifications.services.providers import Chain, Standing, State

#: Seconds between two looks of an open page.
EVERY = 3
#: What people did lately, shown below the chains.
LATEST = 8
_LIST = "admin:notifications_providerswitch_changelist"
_TONES: Mapping[str, str] = {
    State.CLOSED: "green",
    State.HALF_OPEN: "blue",
    State.OPEN: "red",
    State.PAUSED: "amber",
    State.SWITCHED_OFF: "grey",
    State.UNKNOWN: "sand",
}
_WHY: Mapping[str, str] = {
    circuit.FAILING: "{bad:,} of {of:,} messages failed.",
    circuit.SLOW: "{bad:,} of {of:,} messages took too long.",
    circuit.PROBE_FAILED: "The last probe failed.",
    circuit.PROBE_SLOW: "The last probe took too long.",
    circuit.PROBE_LOST: "The last probe was never heard of.",
}


@dataclass(frozen=True, slots=True)
class Row:
    """A provider in its chain, as the page shows it."""

    standing: Standing
    position: str
    is_serving: bool = False

    @property
    def badge(self) -> SafeString:
        return looks.badge(self.standing.state.label, _TONES[self.standing.state])

    @property
    def failed(self) -> str:
        return _percent(self.standing.failure_rate)

    @property
    def slow(self) -> str:
        return _percent(self.standing.slow_rate)

    @property
    def fails(self) -> bool:
        rate = self.standing.failure_rate
        return rate is not None and rate >= settings.BREAKER_FAILURE_RATE

    @property
    def lags(self) -> bool:
        rate = self.standing.slow_rate
        return rate is not None and rate >= settings.BREAKER_SLOW_RATE

    @property
    def notes(self) -> list[str]:
        """Why it stands as it does, and what will happen by itself."""
        one, known = self.standing, self.standing.circuit
        notes = []
        if one.switch:
            reason = one.switch.reason.rstrip(".")
            notes.append(f"Switched off by {one.switch.by}" + (f": {reason}." if reason else "."))
        if one.paused_for:
            notes.append(f"It asked us to wait (429): {_left(one.paused_for)} left.")
        if known is not None and known.is_open:
            notes.append(_WHY[known.why].format(bad=known.bad, of=known.of))
            if one.open_for:
                notes.append(f"One message probes it in {_left(one.open_for)}.")
            elif one.is_probed:
                notes.append("A probe is under way; everybody else waits for its answer.")
            else:
                notes.append("The next message is the probe; if it is answered in time, all may follow.")
        return notes


@dataclass(frozen=True, slots=True)
class Lane:
    """A channel and who serves it now."""

    chain: Chain
    rows: list[Row]

    @property
    def icon(self) -> SafeString:
        return looks.symbol(self.chain.channel)

    @property
    def verdict(self) -> SafeString:
        serving = self.chain.serving
        if serving is not None:
            first = serving is self.chain.providers[0]
            return looks.badge(
                f"{'Served by' if first else 'Failed over to'} {serving.name}", "green" if first else "amber"
            )
        states = {one.state for one in self.chain.providers}
        if State.UNKNOWN in states:
            return looks.badge("Unknown while Redis is away", "sand")
        if State.HALF_OPEN in states:
            return looks.badge("Waiting for a probe", "blue")
        return looks.badge("Nobody: messages wait", "red")


class SwitchOffForm(forms.Form):
    """Why a provider is not to be asked: for the next person who wonders."""

    reason = forms.CharField(
        max_length=providers.MAX_REASON,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "Invoices unpaid, ticket 4711", "autofocus": True}),
        error_messages={"required": "Say why: somebody will want to know whether to switch it on again."},
    )


@admin.register(ProviderSwitch)
class ProviderSwitchAdmin(ReadOnlyMixin, BaseModelAdmin):
    """The list is the panel of all providers. Adding a switch is switching off, deleting it is switching on; each asks
    first, acts on POST alone and is kept in the log of the admin."""

    fields = readonly_fields = ("provider", "reason", "by", "at")

    def get_urls(self) -> list[URLPattern]:
        views: dict[str, Callable[..., HttpResponse]] = {"off": self.off, "on": self.on, "reset": self.reset}
        named = "notifications_providerswitch_{}".format
        return [
            path("panel/", self.admin_site.admin_view(self.panel), name=named("panel")),
            *(
                path(f"<slug:provider>/{name}/", self.admin_site.admin_view(view), name=named(name))
                for name, view in views.items()
            ),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": "Providers",
            "every": EVERY,
            **self._panel(request),
        }
        return TemplateResponse(request, "admin/notifications/providerswitch/providers.html", context)

    def panel(self, request: HttpRequest) -> HttpResponse:
        """The part of the page that moves."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        response = TemplateResponse(request, "admin/notifications/providerswitch/panel.html", self._panel(request))
        response["Cache-Control"] = "no-store"
        return response

    def off(self, request: HttpRequest, provider: str) -> HttpResponse:
        self._must(request, "add")
        if provider not in settings.PROVIDERS:
            raise Http404("There is no such provider.")
        form = SwitchOffForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            reason = form.cleaned_data["reason"]
            if providers.switch_off(provider, by=request.user.get_username(), reason=reason):
                self._log(request, provider, f"Switched off: {reason}")
                messages.success(request, f"{provider} is asked nothing from now on.")
            else:
                messages.warning(request, f"{provider} was switched off already.")
            return redirect(_back(request))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"Switch off {provider}?",
            "form": form,
            "effects": _effects(provider),
            "back": _back(request),
        }
        return TemplateResponse(request, "admin/notifications/providerswitch/off.html", context)

    def on(self, request: HttpRequest, provider: str) -> HttpResponse:
        self._must(request, "delete")
        if request.method == "POST" and request.POST.get("confirmed"):
            try:
                changed = providers.switch_on(provider, by=request.user.get_username())
            except providers.UnknownProvider as unknown:
                raise Http404(str(unknown)) from unknown
            if changed:
                self._log(request, provider, "Switched on")
                messages.success(request, f"{provider} may be asked again.")
            else:
                messages.warning(request, f"{provider} was on already.")
            return redirect(_back(request))
        switch = ProviderSwitch.objects.filter(pk=provider).first()
        if switch is None and provider not in settings.PROVIDERS:
            raise Http404("There is no such provider.")
        why = f" It was switched off by {switch.by}: “{switch.reason}”." if switch else ""
        question = Question(
            title=f"Switch on {provider}?",
            message=f"Its channels ask it again within a second, in the order of their chains.{why}",
            button="Switch on",
            back=_back(request),
            danger=False,
        )
        return self.confirm(request, question)

    def reset(self, request: HttpRequest, provider: str) -> HttpResponse:
        self._must(request, "delete")
        if provider not in settings.PROVIDERS:
            raise Http404("There is no such provider.")
        if request.method == "POST" and request.POST.get("confirmed"):
            try:
                providers.reset(provider, by=request.user.get_username())
            except redis.RedisError:
                messages.error(request, "Redis does not answer: nothing was reset. Try again when it is back.")
            else:
                self._log(request, provider, "Reset its circuit")
                messages.success(request, f"The circuit of {provider} is closed and its pause is over.")
            return redirect(_back(request))
        question = Question(
            title=f"Reset the circuit of {provider}?",
            message="It is asked again at once, by everybody and without a probe, and a pause that it asked for is"
            " broken off. Left alone, the circuit closes by itself as soon as a probe is answered.",
            button="Reset circuit",
            back=_back(request),
        )
        return self.confirm(request, question)

    def _panel(self, request: HttpRequest) -> dict[str, Any]:
        overview = providers.overview()
        log = LogEntry.objects.filter(content_type=ContentType.objects.get_for_model(ProviderSwitch))
        return {
            "lanes": [Lane(chain, _rows(chain)) for chain in overview.chains],
            "others": [Row(one, "–") for one in overview.others],
            "redis_away": overview.redis_away,
            "rules": _rules(),
            "latest": log.select_related("user").order_by("-action_time")[:LATEST],
            "panel_url": reverse("admin:notifications_providerswitch_panel"),
            "may_switch_off": request.user.has_perm("notifications.add_providerswitch"),
            "may_switch_on": request.user.has_perm("notifications.delete_providerswitch"),
        }

    def _must(self, request: HttpRequest, action: str) -> None:
        if not request.user.has_perm(f"notifications.{action}_providerswitch"):
            raise PermissionDenied

    def _log(self, request: HttpRequest, provider: str, what: str) -> None:
        self.log_change(request, ProviderSwitch(provider=provider), what)


def _back(request: HttpRequest) -> str:
    """Where the reader came from: the list, or the page of ours that the address names."""
    given = request.GET.get("next", "")
    is_ours = given.startswith("/") and url_has_allowed_host_and_scheme(given, None)
    return given if is_ours else reverse(_LIST)


def _rows(chain: Chain) -> list[Row]:
    return [Row(one, str(position), is_serving=one is chain.serving) for position, one in enumerate(chain.providers, 1)]


def _rules() -> str:
    """The figures of the page, and when they are too bad."""
    failed, slow = settings.BREAKER_FAILURE_RATE, settings.BREAKER_SLOW_RATE
    return (
        f"Figures are of the last {settings.BREAKER_WINDOW_SECONDS:g} s. A circuit opens when {failed:.0%} of at least"
        f" {settings.BREAKER_MIN_CALLS} messages failed, or {slow:.0%} were in calls of more than"
        f" {settings.BREAKER_SLOW_SECONDS:g} s; then one message at a time probes it, at growing distances."
    )


def _effects(provider: str) -> list[str]:
    """What switching it off means, channel by channel."""
    found = []
    for chain in providers.overview().chains:
        names = [one.name for one in chain.providers]
        if provider not in names:
            continue
        rest = [one.name for one in chain.providers if one.name != provider and one.switch is None]
        channel = chain.channel.label
        if rest:
            found.append(f"{channel} goes to {', then '.join(rest)}.")
        else:
            found.append(
                f"{channel} has nobody else: its messages wait, without using attempts, until one is on again."
            )
    return found or ["It is in no channel's chain: nothing changes for now."]


def _percent(share: float | None) -> str:
    if share is None:
        return "–"
    return f"{share:.0%}" if share in {0, 1} or share >= 0.1 else f"{share:.1%}"


def _left(seconds: float) -> str:
    if seconds < 1:
        return "a second"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
