"""What a campaign will look like to the first person of its audience."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser, PermissionsMixin

from campaigns.errors import DefinitionInvalid
from campaigns.models import Audience, Campaign, CampaignVariant
from campaigns.order import order_of, sentence
from campaigns.services import AudienceService
from notifications.choices import Channel, Priority
from notifications.errors import RenderError
from notifications.services.rendering import missing
from notifications.services.template_previews import context_of
from notifications.services.template_variables import RECIPIENT, UNSUBSCRIBE_URL
from notifications.services.templates import catalogue

#: Somebody, as templates see them.
SAMPLE = {"external_id": "user-1", "name": "Ada Example", "locale": "", "timezone": "UTC", "attributes": {}}


#: What may go out: a campaign's own wording, or that of one of its variants.
Wording = Campaign | CampaignVariant


@dataclass(frozen=True, slots=True)
class Shown:
    """One wording as somebody gets it. `messages` has one entry per channel that has words: its label, and the
    finished wording or the error in its place. `lacking` names the merge fields that the data has nothing for, in any
    language: they come out empty. `label` and `part` (percent) are a variant's, "" and 100 without any."""

    label: str
    part: int
    template: str
    messages: list[dict[str, Any]]
    lacking: list[str]


@dataclass(frozen=True, slots=True)
class Preview:
    """Every wording that goes out. `reader` is whom they were written for."""

    wordings: list[Shown]
    reader: str


def preview(campaign: Campaign, user: AbstractBaseUser | AnonymousUser) -> Preview:
    """As the first person of the audience sees it; as a made-up one for users who may not look at recipients."""
    may_look = isinstance(user, PermissionsMixin) and user.has_perm("preferences.view_recipient")
    person = (_first(campaign) if may_look else None) or SAMPLE
    variants = list(campaign.variants.select_related("template", "template_version").order_by("label"))
    wordings: list[Wording] = [*variants] or [campaign]
    return Preview(
        [_shown(campaign, wording, person) for wording in wordings], str(person["name"] or person["external_id"])
    )


def _shown(campaign: Campaign, wording: Wording, person: Mapping[str, Any]) -> Shown:
    label, part = (wording.label, wording.weight) if isinstance(wording, CampaignVariant) else ("", 100)
    return Shown(
        label,
        part,
        str(wording.template),
        _messages(campaign, wording, person),
        _lacking(campaign, wording),
    )


def _first(campaign: Campaign) -> Mapping[str, Any] | None:
    """Nobody where a segment names something that is gone: the plan beside it says so."""
    try:
        return AudienceService().first(campaign)
    except DefinitionInvalid:
        return None


def _lacking(campaign: Campaign, wording: Wording) -> list[str]:
    """What the recipient brings along is left aside: it differs from person to person, as does their way out."""
    version = wording.template_version or wording.template.published
    wanted: set[str] = set()
    for channels in version.content.values() if version else ():
        for channel in campaign.lanes[0]:
            for source in channels.get(channel, {}).values():
                with suppress(RenderError):  # the preview says it where it stands
                    wanted |= missing(source, campaign.data)
    return sorted(path for path in wanted if path.split(".")[0] not in (RECIPIENT, UNSUBSCRIBE_URL))


def _messages(campaign: Campaign, wording: Wording, person: Mapping[str, Any]) -> list[dict[str, Any]]:
    version = wording.template_version or wording.template.published
    if version is None:
        return []
    words = version.content.get(wording.template.default_locale, {})
    context = context_of({}, data=campaign.data, recipient=person, locale=person["locale"])
    shown = []
    for channel in campaign.lanes[0]:
        if channel not in words:
            continue
        entry: dict[str, Any] = {"key": channel, "label": Channel(channel).label}
        try:
            fields = catalogue.render(version.pk, channel, person["locale"], context)
        except RenderError as error:
            entry["error"] = str(error)
        else:
            entry["title"] = fields.get("subject") or fields.get("title", "")
            entry["body"] = fields.get("body") or fields.get("text", "")
            entry |= {name: fields.get(name, "") for name in ("preheader", "html", "link")}
        shown.append(entry)
    return shown


def facts(campaign: Campaign) -> list[tuple[str, str]]:
    """The campaign in words, for the head of a page."""
    priority = campaign.lanes[1]
    return [
        _wording(campaign),
        ("Category", str(campaign.category)),
        ("Channels", ", ".join(str(Channel(channel).label) for channel in order_of(campaign).channels)),
        ("How they are used", sentence(campaign)),
        ("Priority", str(Priority(priority).label)),
        ("Audience", str(Audience(campaign.audience).label)),
        *(
            [("Link parameters", ", ".join(f"{name} {value}" for name, value in campaign.utm.items()))]
            if campaign.utm
            else []
        ),
    ]


def _wording(campaign: Campaign) -> tuple[str, str]:
    """The template, or those that are tried: with variants it is they alone that go out."""
    variants = list(campaign.variants.select_related("template").order_by("label"))
    if not variants:
        return "Template", str(campaign.template)
    return "Wordings", " · ".join(f"{one.label} {one.template} ({one.weight}%)" for one in variants)
