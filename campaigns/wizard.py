"""The steps in which a campaign is made: which fields each has, and when they are asked for."""

from typing import Any

from django.urls import reverse

from campaigns.models import Audience, Recurrence, Schedule
from notifications.choices import Strategy

#: The steps by their word in an address, in order. The first three are one form; the last two are pages.
STEPS: dict[str, tuple[str, str]] = {
    "message": ("Message", "What it says"),
    "audience": ("Audience", "Who gets it"),
    "timing": ("When and how fast", "At which moment, at what rate"),
    "check": ("Check", "Look at all of it once more"),
    "send": ("Send", "After somebody approved it"),
}


def _step(name: str, *more: str) -> tuple[str, ...]:
    return ("campaign-step", f"step-{name}", *more)


_MESSAGE = ("name", "template", "category", "channels", "how", "how_wait", "how_steps", "data")
FIELDSETS: tuple[tuple[str | None, dict[str, Any]], ...] = (
    ("Message", {"fields": _MESSAGE, "classes": _step("message")}),
    (
        "Try several wordings",
        {
            "fields": (
                ("variant_a", "weight_a"), ("variant_b", "weight_b"), ("variant_c", "weight_c"),
                ("variant_d", "weight_d"), "winner_metric", ("test_percent", "decide_after_minutes"),
            ),
            "classes": _step("message", "collapse"),
            "description": "Choose two to four templates, and which part of the people each is for; the parts make"
            " 100. Wording A is the template above unless you choose another. Below, say on how many people to try"
            " them: the others get the one that did best.",
        },
    ),
    (
        "Link parameters and priority",
        {
            "fields": (("utm_source", "utm_medium"), ("utm_campaign",), ("utm_term", "utm_content"), "priority"),
            "classes": _step("message", "collapse"),
            "description": "Parameters are added to every link as utm_source and so on, for the statistics of your"
            " website. What a link has already stays.",
        },
    ),
    (
        "Audience",
        {
            "fields": (
                "audience", "segment", "saved_list", "recipients", "leave_out_unknown", "exclude_segments",
                "exclude_lists",
            ),
            "classes": _step("audience"),
        },
    ),
    (
        "When",
        {
            "fields": (
                "schedule", "send_at", "local_date", "recurrence", "weekdays", "month_days", "local_time",
                "recurrence_zone", "recurs_until",
            ),
            "classes": _step("timing"),
        },
    ),
    (
        "How fast",
        {
            "fields": ("throttle_per_minute", "canary_percent", ("canary_minutes", "canary_max_failures")),
            "classes": _step("timing"),
        },
    ),
)  # fmt: skip

_IS_RECURRING = f"schedule == '{Schedule.RECURRING.value}'"
#: When a field is shown, as unfold's expressions over the form.
CONDITIONS: dict[str, str] = {
    "segment": f"audience == '{Audience.SEGMENT.value}'",
    "saved_list": f"audience == '{Audience.SAVED_LIST.value}'",
    "recipients": f"audience == '{Audience.LIST.value}'",
    "leave_out_unknown": f"audience == '{Audience.LIST.value}'",
    "send_at": f"schedule == '{Schedule.AT.value}'",
    "local_date": f"schedule == '{Schedule.LOCAL.value}'",
    "local_time": f"schedule == '{Schedule.LOCAL.value}' || {_IS_RECURRING}",
    "recurrence": _IS_RECURRING,
    "weekdays": f"{_IS_RECURRING} && recurrence == '{Recurrence.WEEKLY.value}'",
    "month_days": f"{_IS_RECURRING} && recurrence == '{Recurrence.MONTHLY.value}'",
    "recurrence_zone": _IS_RECURRING,
    "recurs_until": _IS_RECURRING,
    "how_wait": f"how == '{Strategy.FIRST.value}'",
    "how_steps": f"how == '{Strategy.ESCALATE.value}'",
    "canary_minutes": "canary_percent > 0",
    "canary_max_failures": "canary_percent > 0",
}


def step_of(field: str) -> str:
    """The step in which a field is asked for; problems of a campaign lead there."""
    for _, options in FIELDSETS:
        names = [name for row in options["fields"] for name in (row if isinstance(row, tuple) else (row,))]
        if field in names:
            return str(options["classes"][1]).removeprefix("step-")
    return "message"


def wizard_steps(at: str, campaign_id: object) -> list[dict[str, Any]]:
    """The steps as links, and which one this is. A campaign that was never saved has only its form."""
    order = list(STEPS)
    steps = []
    for name, (label, about) in STEPS.items():
        url = ""
        if campaign_id and name in ("message", "audience", "timing"):
            url = f"{reverse('admin:campaigns_campaign_change', args=[campaign_id])}?step={name}"
        elif campaign_id and name == "check":
            url = reverse("campaign-check", args=[campaign_id])
        done = order.index(name) < order.index(at)
        steps.append({"name": name, "label": label, "about": about, "url": url, "now": name == at, "done": done})
    return steps
