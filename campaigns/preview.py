"""What a campaign will look like to the first person of its audience."""

from collections.abc import Mapping
from typing import Any

from campaigns.models import Audience, Campaign
from campaigns.services import AudienceService
from notifications.choices import Channel, Priority
from notifications.errors import RenderError
from notifications.services.templates import catalogue
from preferences.models import Recipient


def preview(campaign: Campaign) -> list[dict[str, Any]]:
    """One entry per channel that has words: its label, and the finished fields or the error in their place."""
    published = catalogue.published(campaign.template.slug)
    if published is None:
        return []
    person = _first(campaign)
    context = {**campaign.data, "recipient": person}
    shown = []
    for channel in campaign.lanes[0]:
        if channel not in published.channels:
            continue
        entry: dict[str, Any] = {"key": channel, "label": Channel(channel).label}
        try:
            entry["fields"] = catalogue.render(published.version_id, channel, person["locale"], context)
        except RenderError as error:
            entry["error"] = str(error)
        shown.append(entry)
    return shown


def facts(campaign: Campaign) -> list[tuple[str, str]]:
    """The campaign in words, for the head of a page."""
    published = catalogue.published(campaign.template.slug)
    channels, priority = campaign.lanes
    used = [Channel(c).label for c in channels if published is None or c in published.channels]
    return [
        ("Template", str(campaign.template)),
        ("Category", str(campaign.category)),
        ("Channels", ", ".join(used)),
        ("Priority", str(Priority(priority).label)),
        ("Audience", str(Audience(campaign.audience).label)),
    ]


def _first(campaign: Campaign) -> Mapping[str, Any]:
    """The first person, as templates see them; a made-up one for an audience without any."""
    people = AudienceService().chunk(campaign, 1) if campaign.cursor is None else []
    fields = ("external_id", "name", "locale", "timezone", "attributes")
    found = Recipient.objects.filter(pk__in=[id for id, _ in people]).values(*fields).first()
    sample = {"external_id": "user-1", "name": "Ada Example", "locale": "", "timezone": "UTC", "attributes": {}}
    return dict(found) if found else sample
