"""A campaign's audit trail, as sentences."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.dateparse import parse_datetime
from django.utils.formats import date_format

from campaigns.models import Action, Campaign, CampaignEvent, Phase

#: Lines on a page; the first ones of a campaign stay reachable through the API.
SHOWN = 100


class Line(NamedTuple):
    """What was done, when and by whom ("" for the system itself), and what there is to say about it."""

    at: datetime
    who: str
    what: str
    detail: str


def trail(campaign: Campaign) -> list[Line]:
    """The newest first."""
    events = CampaignEvent.objects.filter(campaign_id=campaign.pk).order_by("-id")[:SHOWN]
    return [Line(event.at, event.actor_name, str(Action(event.action).label), said(event)) for event in events]


def _moment(value: object) -> str:
    at = parse_datetime(str(value))
    return f"{date_format(at, 'j M Y, H:i')} UTC" if at else str(value)


#: What is known of an event, in words; a key that is not here is told as it is.
_WORDS: Mapping[str, Callable[[Any], str]] = {
    "people": lambda count: f"{intcomma(count)} {'person' if count == 1 else 'people'}",
    "starts_at": lambda at: f"for {_moment(at)}",
    "until": lambda at: f"until {_moment(at)}",
    "note": lambda note: f"“{note}”",
    "problem": str,
    "via": str,
    "from": lambda id: f"from campaign {id}",
    "into": lambda id: f"into campaign {id}",
}


def said(event: CampaignEvent) -> str:
    """What an event has to say, as one line."""
    if (own := _OWN.get(event.action)) is not None:
        return own(event.detail)
    told = [
        _WORDS[key](value) if key in _WORDS else f"{key.replace('_', ' ')} {value}"
        for key, value in event.detail.items()
    ]
    return " · ".join(told)


def _phase(detail: Mapping[str, Any]) -> str:
    """Either a phase is over and its results are awaited, or the next has begun."""
    if "over" in detail:
        return f"{_name(detail['over'])}: all handed out; waits until {_moment(detail.get('held_until'))}"
    counted = f" · {intcomma(detail['sent'])} sent, {intcomma(detail['failed'])} failed" if "failed" in detail else ""
    return f"{_name(detail.get('from'))} → {_name(detail.get('to'))}{counted}"


def _winner(detail: Mapping[str, Any]) -> str:
    counted = [
        f"{label}: {intcomma(of['people'])} people, {intcomma(of['opened'])} opened, {intcomma(of['clicked'])} clicked"
        for label, of in detail.get("variants", {}).items()
    ]
    return " · ".join([f"wording {detail.get('winner')}", *counted])


def _completed(detail: Mapping[str, Any]) -> str:
    if "accepted" not in detail:  # a series, which hands out nothing itself
        return ""
    handed = f"{_WORDS['people'](detail['accepted'])} handed out"
    return f"{handed} · {intcomma(detail['dropped'])} could not be" if detail.get("dropped") else handed


def _name(phase: object) -> str:
    return str(Phase(phase).label) if phase in Phase.values else str(phase)


#: Events that say more than their keys do one by one.
_OWN: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    Action.PHASE: _phase,
    Action.WINNER: _winner,
    Action.COMPLETED: _completed,
}
