"""What a campaign's page shows, in figures that add up."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.urls import reverse

from analytics import selectors as analytics
from campaigns.models import Campaign, CampaignStatus
from campaigns.people import REASONS
from campaigns.phasing import phase
from notifications.choices import Channel, EventType
from notifications.services.engagement import PEOPLE
from notifications.sources import SourceName

#: Minutes of the campaign page's chart, at least: a campaign of seconds is not one wide bar.
SHORTEST = timedelta(minutes=14)


def names_of_sources(sources: Sequence[str]) -> dict[str, SourceName]:
    """Campaigns by their names, with their pages: a `notifications.sources.SourceNamer`."""
    ids = {
        int(number)
        for kind, _, number in (s.partition(":") for s in sources)
        if kind == "campaign" and number.isdecimal()
    }
    return {
        campaign.source: SourceName(campaign.name, reverse("admin:campaigns_campaign_change", args=[campaign.pk]))
        for campaign in Campaign.objects.filter(pk__in=ids).only("pk", "name")
    }


def snapshot(campaign: Campaign) -> dict[str, Any]:
    """A started campaign as it stands now.

    People: audience = reached + unreachable + dropped + erased + waiting. Messages: queued = sent + failed + given up +
    skipped later + in flight. The counters commit with what they count, so both hold at every moment.
    """
    if campaign.started_at is None:
        raise ValueError("A draft has nothing to show yet.")
    now = analytics.database_now()
    tallies = analytics.tallies(since=campaign.started_at, source=campaign.source)
    return {
        "at": now.isoformat(),
        "status": campaign.status,
        "status_label": status_label(campaign),
        "problem": campaign.problem,
        "phase": phase(campaign, tallies),
        "moving": _is_moving(campaign, tallies),
        "people": people(campaign),
        "messages": messages(campaign, tallies),
        "channels": [_channel(channel, tallies) for channel in Channel if tallies.has(channel)],
        "skips": _named(tallies.reasons(EventType.SKIPPED), "skipped"),
        "errors": _named(tallies.reasons(EventType.BOUNCED, EventType.FAILED, EventType.DEAD), "failed"),
        "machines": tallies.reasons(EventType.MACHINE),
        "sent": _chart(campaign, now),
    }


def _named(reasons: list[dict[str, Any]], outcome: str) -> list[dict[str, Any]]:
    """With the word by which the people behind a reason are asked for, where there is one."""
    words = {label: reason for reason, label in REASONS[outcome].items()}
    return [{**one, "reason": words.get(one["label"], "")} for one in reasons]


def _chart(campaign: Campaign, now: datetime) -> dict[str, Any]:
    """From the start to now, or to the last message where that is longer ago."""
    start = campaign.started_at or now
    last = analytics.last_sent(campaign.source, since=start) or start
    return analytics.sent_series(start, max(last, start + SHORTEST), source=campaign.source)


def people(campaign: Campaign) -> dict[str, int]:
    """Where everyone of the audience is. `erased` is known once all have had their turn."""
    handled = campaign.accepted + campaign.dropped
    rest = max(0, campaign.audience_size - handled)
    is_over = campaign.status == CampaignStatus.COMPLETED
    return {
        "audience": campaign.audience_size,
        "handled": handled,
        "reached": campaign.accepted - campaign.unreachable,
        "unreachable": campaign.unreachable,
        "dropped": campaign.dropped,
        "erased": rest if is_over else 0,
        "waiting": 0 if is_over else rest,
    }


def messages(campaign: Campaign, tallies: analytics.Tallies) -> dict[str, int]:
    """What became of the messages of all channels together. `skipped` includes those never queued."""
    sent, failed = tallies.total(EventType.SENT), tallies.total(EventType.FAILED)
    dead = tallies.total(EventType.DEAD) - tallies.total(EventType.REPLAYED)
    skipped = tallies.total(EventType.SKIPPED)
    queued = tallies.total("queued")
    ended = sent + failed + dead + max(0, skipped - campaign.skipped)
    return {
        "queued": queued,
        "sent": sent,
        "delivered": tallies.total(EventType.DELIVERED),
        "opened": tallies.total(EventType.OPENED),
        "clicked": tallies.total(EventType.CLICKED),
        **engagement(tallies),
        "bounced": tallies.total(EventType.BOUNCED),
        "failed": failed,
        "dead": dead,
        "skipped": skipped,
        "ended": min(ended, queued),
        "in_flight": max(0, queued - ended),
    }


def engagement(tallies: analytics.Tallies) -> dict[str, int]:
    """How many people opened and clicked, each once on however many channels, and how often they did. Programs, which
    fetch images and follow links by themselves, are in neither."""
    return {
        "opened_people": tallies.total(PEOPLE[EventType.OPENED]),
        "opens": tallies.total(EventType.OPENED, EventType.REOPENED),
        "clicked_people": tallies.total(PEOPLE[EventType.CLICKED]),
        "clicks": tallies.total(EventType.CLICKED, EventType.RECLICKED),
        "machines": tallies.total(EventType.MACHINE),
    }


def status_label(campaign: Campaign) -> str:
    """Its state in a word; a cancel that is still taking messages back says so."""
    if campaign.status == CampaignStatus.CANCELLED and campaign.finished_at is None:
        return "Cancelling"
    return campaign.get_status_display()


def _is_moving(campaign: Campaign, tallies: analytics.Tallies) -> bool:
    busy = campaign.status == CampaignStatus.SENDING or status_label(campaign) == "Cancelling"
    return busy or messages(campaign, tallies)["in_flight"] > 0


def _channel(channel: Channel, tallies: analytics.Tallies) -> dict[str, Any]:
    outcomes = {
        "queued": ("queued",),
        "sent": (EventType.SENT,),
        "delivered": (EventType.DELIVERED,),
        "opened": (EventType.OPENED,),
        "clicked": (EventType.CLICKED,),
        "skipped": (EventType.SKIPPED,),
        "failed": (EventType.FAILED, EventType.BOUNCED, EventType.DEAD),
    }
    counts = {name: tallies.total(*of, channel=channel) for name, of in outcomes.items()}
    return {"key": channel.value, "label": channel.label, **counts}
