"""What will happen with a campaign that has not started, in words and numbers: for its pages and the API."""

from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings
from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils import timezone
from django.utils.formats import date_format

from campaigns.errors import AUDIENCE_LOST, DefinitionInvalid
from campaigns.forms.fields import WEEKDAYS
from campaigns.models import Campaign, Recurrence, Schedule
from campaigns.order import order_of, sentence, turn
from campaigns.services.planning import NO_WORDS, plan
from campaigns.services.readiness import problems
from campaigns.services.timing import first_moment
from campaigns.wizard import STEPS, step_of
from notifications.choices import Channel, SkipReason


def planned(campaign: Campaign) -> dict[str, Any]:
    """Who it reaches and when, what is missing, and what it takes to send it."""
    try:
        found = plan(campaign)
    except DefinitionInvalid:
        return _nobody(campaign, AUDIENCE_LOST)
    order = order_of(campaign)
    return {
        "people": found.people,
        "is_exact": found.is_exact,
        "sampled": found.sampled,
        "channels": [
            {
                "key": reach.channel,
                "label": Channel(reach.channel).label,
                "reachable": reach.reachable,
                "turn": turn(order, reach.channel) if order.plan and reach.channel in order.channels else "",
                "skipped": [{"label": _reason(reason), "count": n} for reason, n in reach.skipped.items() if n],
            }
            for reach in found.channels
        ],
        "when": when(campaign),
        "order": sentence(campaign),
        "pace": _pace(campaign, found.people, found.minutes),
        "care": _care(campaign),
        "approval": _approval(found.people),
        "problems": [{"field": field, **_place(field), "text": text} for field, text in problems(campaign)],
    }


def _nobody(campaign: Campaign, why: str) -> dict[str, Any]:
    """A plan of an audience that can't be asked for."""
    found = [{"field": "segment", **_place("segment"), "text": why}]
    return {
        "people": 0, "is_exact": True, "sampled": None, "channels": [], "when": when(campaign),
        "order": sentence(campaign),
        "pace": _pace(campaign, 0, None), "care": _care(campaign), "approval": "", "problems": found,
    }  # fmt: skip


def _reason(reason: str) -> str:
    return _REASONS.get(reason, reason.replace("_", " "))


_REASONS: Mapping[str, str] = {
    SkipReason.OPTED_OUT: "opted out",
    SkipReason.NO_ADDRESS: "without an address",
    SkipReason.SUPPRESSED: "with an address that must not be used",
    NO_WORDS: "because the template has no words for it",
}


def when(campaign: Campaign) -> str:
    """Its schedule as a sentence."""
    return _WHEN[Schedule(campaign.schedule)](campaign)


def _now(campaign: Campaign) -> str:
    return "It goes out as soon as somebody presses Send."


def _at(campaign: Campaign) -> str:
    if campaign.send_at is None:
        return "It goes out at a moment that is still to be chosen."
    return f"It goes out on {date_format(campaign.send_at, 'l, j F Y, H:i')} UTC."


def _local(campaign: Campaign) -> str:
    if campaign.local_date is None or campaign.local_time is None:
        return "It goes out at a local time that is still to be chosen."
    day = date_format(campaign.local_date, "l, j F Y")
    return f"Each person gets it on {day} at {campaign.local_time:%H:%M} by their own clock."


def _recurring(campaign: Campaign) -> str:
    if not campaign.recurrence or campaign.local_time is None:
        return "It goes out again and again; how often is still to be chosen."
    often = {
        Recurrence.DAILY: "every day",
        Recurrence.WEEKLY: "every " + _listed([dict(WEEKDAYS)[str(d)] for d in campaign.recurs_on if 1 <= d <= 7]),
        Recurrence.MONTHLY: "every month on the " + _listed([f"{day}." for day in campaign.recurs_on]),
    }[Recurrence(campaign.recurrence)]
    until = f" until {date_format(campaign.recurs_until, 'j F Y')}" if campaign.recurs_until else ""
    following = first_moment(campaign, timezone.now())
    soon = f" Next: {date_format(following, 'l, j F Y, H:i')} UTC." if following else ""
    return f"It goes out {often} at {campaign.local_time:%H:%M}, {campaign.recurrence_zone} time{until}.{soon}"


_WHEN: Mapping[Schedule, Callable[[Campaign], str]] = {
    Schedule.NOW: _now,
    Schedule.AT: _at,
    Schedule.LOCAL: _local,
    Schedule.RECURRING: _recurring,
}


def _pace(campaign: Campaign, people: int, minutes: float | None) -> str:
    """How long handing out takes at its throttle, or at the rate that was measured."""
    limit = campaign.throttle_per_minute
    at = f"at most {intcomma(limit)} people a minute" if limit else "as fast as it goes"
    if not people or minutes is None:
        return f"Handing out goes {at}."
    held = campaign.canary_minutes if campaign.canary_percent else 0
    total = minutes + held
    return f"Handing out goes {at} and takes {_span(total)}{f', {held} minutes of waiting included' if held else ''}."


def _span(minutes: float) -> str:
    if minutes < 1:
        return "less than a minute"
    if minutes < 90:
        return f"about {round(minutes)} minute{'s' if round(minutes) != 1 else ''}"
    return f"about {minutes / 60:.1f} hours" if minutes < 48 * 60 else f"about {minutes / 1440:.1f} days"


def _care(campaign: Campaign) -> list[str]:
    """What it tries before everybody gets it."""
    told = []
    if campaign.canary_percent:
        told.append(
            f"First {campaign.canary_percent}% of the people get it. After {campaign.canary_minutes} minutes it goes on"
            f" by itself if fewer than {campaign.canary_max_failures}% failed, and pauses otherwise."
        )
    if variants := list(campaign.variants.select_related("template")):
        parts = ", ".join(f"{variant.weight}% “{variant.template}”" for variant in variants)
        rest = " The others get the one that did best." if campaign.test_percent < 100 else ""
        told.append(f"{campaign.test_percent}% of the people get one of {len(variants)} wordings: {parts}.{rest}")
    return told


def _approval(people: int) -> str:
    told = []
    if people > settings.CAMPAIGN_REVIEW_ABOVE:
        limit = intcomma(settings.CAMPAIGN_REVIEW_ABOVE)
        told.append(f"It goes to more than {limit} people, so somebody else has to approve it.")
    if people > settings.CAMPAIGN_TYPE_ABOVE:
        told.append("Whoever sends it is asked to type the number of people.")
    return " ".join(told)


def _place(field: str) -> dict[str, str]:
    step = step_of("variant_a" if field == "variants" else field)
    return {"step": step, "where": STEPS[step][0]}


def _listed(words: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]])) or "… (no day is chosen)"
