"""Why somebody does or doesn't get a message, for people who have never seen a terminal."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse

from notifications import explain
from notifications.admin import looks
from notifications.admin.explain_form import ExplainForm
from notifications.admin.record import as_uuid
from notifications.choices import Channel
from notifications.explain import Check, Explanation, Past, Source, Store, Verdict, Way
from notifications.models import Notification

PERMISSION = "notifications.view_notification"
NAME = "notifications_notification_explain"

_ICONS = {
    Verdict.PASS: ("check_circle", "green"),
    Verdict.SKIP: ("block", "red"),
    Verdict.HOLD: ("schedule", "amber"),
    Verdict.REFUSE: ("cancel", "red"),
    Verdict.UNKNOWN: ("help", "grey"),
}
_OUTCOMES = {
    Verdict.PASS: "Goes out",
    Verdict.SKIP: "Not sent",
    Verdict.HOLD: "Waits",
    Verdict.REFUSE: "Fails",
    Verdict.UNKNOWN: "Cannot be told",
}
_TITLES = {
    "request": "The request",
    "capacity": "Room",
    "recipient": "The person",
    "category": "What it is about",
    "content": "The wording",
    "preference": "Do they want it?",
    "suppression": "May the address be used?",
    "address": "Is there an address?",
    "duplicate": "Was it said before?",
    "schedule": "Is it time?",
    "strategy": "Is it its turn?",
    "quiet_hours": "Is it quiet for them?",
    "digest": "Is it gathered?",
    "room": "Can a worker take it up?",
    "recheck": "A second look",
    "recipient_limit": "Have they had enough?",
    "frequency_cap": "Have they had enough of it?",
    "wording": "Can it be worded?",
    "chain": "Who sends it?",
}
#: What one can do about it.
_HELP = {
    "opted_out": "Only they can change that, in their preferences. Tell them where those are.",
    "suppressed": "If the address works again and they agree, lift it under Suppressions.",
    "no_address": "Add an address to the recipient; a device registers when they open the app.",
    "duplicate": "Nothing is wrong: they have the first one. Something else, or later, would go out.",
    "rate_limited": "It is over by itself. The numbers are under Rate limits.",
    "frequency_capped": "It is over by itself. The numbers are in the category; of all marketing under Rate limits.",
    "quiet_hours": "It goes out by itself when their quiet hours end. Only critical messages do not wait.",
    "rate_limit": "It goes on by itself as soon as there is room. The numbers are under Rate limits.",
    "circuit_open": "It goes on by itself when the provider answers again. See Providers.",
    "throttled": "The provider asked for a pause; it goes on by itself.",
    "switched_off": "Somebody switched the provider off, and has to switch it on again. See Providers.",
    "redis_away": "Redis is down. Tell whoever runs this installation.",
    "render_error": "The template needs mending, or data that was not given.",
    "not_configured": "No provider is set up for this channel. Tell whoever runs this installation.",
    "unknown": "Look for a typing error.",
}
#: Fields that are folded away until one is used.
_MORE = ("channels", "priority", "title", "body", "values")
_PLACES = {
    Store.POSTGRESQL: "record",
    Store.REDIS: "Redis",
    Store.SETTINGS: "setting",
    Store.REQUEST: "request",
}
#: Tables whose rows have a page: their model, as the admin names it.
_MODELS = {
    "preferences_preference": "preferences_preference",
    "preferences_suppression": "preferences_suppression",
    "preferences_recipient": "preferences_recipient",
    "preferences_category": "preferences_category",
    "notifications_notification": "notifications_notification",
    "notifications_ratelimit": "notifications_ratelimit",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One gate as it is shown."""

    title: str
    icon: str
    tone: str
    verdict: str
    check: Check
    seen: Sequence[tuple[str, str]]
    sources: Sequence[tuple[str, str]]  # what, and the address of its page or nothing


@dataclass(frozen=True, slots=True)
class Panel:
    """One channel as it is shown."""

    way: Way
    icon: str
    channel: str
    outcome: str
    tone: str
    help: str
    lines: Sequence[Line]


def view(site: AdminSite) -> Callable[[HttpRequest], HttpResponse]:
    """The page: GET asks or, with `notification`, tells what became of one; POST tells of a draft."""

    def page(request: HttpRequest) -> HttpResponse:
        if not request.user.has_perm(PERMISSION):
            raise PermissionDenied
        wanted = request.GET.get("notification", "").strip()
        context: dict[str, Any] = _past(request, wanted) if wanted else _asked(request)
        base = {**site.each_context(request), "opts": Notification._meta, "title": "Why?" if wanted else "Explain"}
        return TemplateResponse(request, "admin/notifications/explain/page.html", {**base, **context})

    return page


def _asked(request: HttpRequest) -> dict[str, Any]:
    may_search = request.user.has_perm("preferences.view_recipient")
    if request.method != "POST":
        return _with(ExplainForm(initial=request.GET.dict(), may_search=may_search))
    form = ExplainForm(request.POST, may_search=may_search)
    if not form.is_valid():
        return _with(form)
    found = explain.explain(form.draft(), source="admin")
    return {**_with(form), "asked_of": form.cleaned_data["recipient"], **_shown(request, found)}


def _with(form: ExplainForm) -> dict[str, Any]:
    return {"form": form, "is_open": any(form[name].value() for name in _MORE)}


def _past(request: HttpRequest, wanted: str) -> dict[str, Any]:
    key = as_uuid(wanted)
    past = explain.look_back(key) if key is not None else None
    if past is None:
        return {"missing": wanted[:100]}
    return {"past": past, "fates": [_fate(past, at) for at in range(len(past.fates))], **_shown(request, past.today)}


def _fate(past: Past, at: int) -> Mapping[str, Any]:
    fate = past.fates[at]
    return {
        "fate": fate,
        "icon": looks.ICONS[fate.channel],
        "channel": str(Channel(fate.channel).label),
        "badge": looks.status_badge(fate.status),
        "tone": looks.TONES[fate.status],
    }


def _shown(request: HttpRequest, found: Explanation) -> dict[str, Any]:
    return {
        "found": found,
        "tone": _ICONS[found.outcome][1],
        "verdict_icon": _ICONS[found.outcome][0],
        "whole": [_line(request, check) for check in found.checks],
        "whole_help": next((_HELP[c.code] for c in found.checks if c.verdict != Verdict.PASS and c.code in _HELP), ""),
        "panels": [_panel(request, way) for way in found.ways],
    }


def _panel(request: HttpRequest, way: Way) -> Panel:
    return Panel(
        way=way,
        icon=looks.ICONS[way.channel],
        channel=str(Channel(way.channel).label),
        outcome=_OUTCOMES[way.outcome],
        tone="sand" if way.outcome is Verdict.SKIP else _ICONS[way.outcome][1],
        help=_HELP.get(way.code, ""),
        lines=[_line(request, check) for check in way.checks],
    )


def _line(request: HttpRequest, check: Check) -> Line:
    icon, tone = _ICONS[check.verdict]
    return Line(
        title=check.provider if check.gate == "provider" else _TITLES.get(check.gate, check.gate),
        icon=icon,
        tone=tone,
        verdict=str(check.verdict.label),
        check=check,
        seen=list(check.seen.items()),
        sources=[_source(request, source) for source in check.sources],
    )


def _source(request: HttpRequest, source: Source) -> tuple[str, str]:
    what = f"{_PLACES[source.store]}: {source.name}" + (f" {source.id}" if source.id else "")
    if source.name == "notifications_providerswitch":
        return what, _address(request, "notifications.view_providerswitch", "notifications_providerswitch_changelist")
    model = _MODELS.get(source.name)
    if model is None or not source.id or source.store != Store.POSTGRESQL:
        return what, ""
    app, _, name = model.partition("_")
    return what, _address(request, f"{app}.view_{name}", f"{model}_change", source.id)


def _address(request: HttpRequest, permission: str, name: str, *args: str) -> str:
    return reverse(f"admin:{name}", args=args) if request.user.has_perm(permission) else ""
