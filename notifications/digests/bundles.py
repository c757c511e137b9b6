"""From what was gathered to the draft of one message: the count and the items, rendered for their person. No writes."""

from collections.abc import Mapping, Sequence
from typing import Any

from notifications.choices import Channel, Priority
from notifications.digests.reading import Bundle, Due
from notifications.digests.wordings import fallback
from notifications.drafts import Draft
from notifications.errors import RenderError
from notifications.services.claims import Claim
from notifications.services.json_objects import dumps
from notifications.services.messages import content_of
from notifications.services.templates import catalogue
from preferences.services import CategoryInfo

#: Bytes of all that a template gets; the bound of a notification's data is above (drafts.MAX_JSON_BYTES).
MAX_BYTES = 24 * 1024
MAX_TITLE, MAX_BODY, MAX_LINK, MAX_DATA = 200, 400, 1000, 600
#: Where an item's words are taken from, and which of the channel's fields are its title, body and link.
_WORDS = {
    Channel.IN_APP.value: ("title", "body", "link"),
    Channel.PUSH.value: ("title", "body", "link"),
    Channel.EMAIL.value: ("subject", "text", ""),
    Channel.SMS.value: ("", "body", ""),
}


def draft_of(due: Due, bundle: Bundle, category: CategoryInfo, *, plain: bool = False) -> Draft:
    """The message that says what was gathered; a single item goes as itself. `plain`: in the built-in wording."""
    own = bundle.newest[0]
    # In the category's order, which is that of `first`.
    channels = sorted(due.channels, key=lambda one: (*category.channels, one).index(one))
    common: dict[str, Any] = {
        "id": due.notification,
        "recipient": own.external_id,
        "category": category.slug,
        "priority": Priority.HIGH.value if category.default_priority == Priority.CRITICAL else None,
        "dedup_key": due.dedup_key,
        "expires_at": own.expires_at if bundle.total == 1 else None,
    }
    if bundle.total == 1 and not plain and (alone := _alone(channels, own)) is not None:
        return Draft(**common, **alone)
    data = data_of(bundle)
    template = "" if plain else category.digest.template
    published = catalogue.published(template) if template else None
    if published is not None and published.channels >= set(channels):
        return Draft(**common, template=template, data=data, channels=channels)
    return Draft(**common, content=fallback(data, category), data=data, channels=channels)


def _alone(waited: Sequence[str], claim: Claim) -> dict[str, Any] | None:
    """What a single item says, on the channels where it waited."""
    if claim.content is not None:
        channels = [one for one in waited if one in claim.content]
        said: dict[str, Any] = {"content": claim.content}
    else:
        pinned = catalogue.pinned_many({claim.version_id or 0}).get(claim.version_id or 0)
        if pinned is None:
            return None
        channels = [one for one in waited if one in pinned.channels]
        said = {"template": pinned.slug, "template_version": claim.version_id, "data": claim.data}
    return {**said, "metadata": claim.metadata, "channels": channels} if channels else None


def data_of(bundle: Bundle) -> dict[str, Any]:
    """What a digest's template gets: `count`, `items` (the newest first: title, body, link, at, data), `more` and
    `since`. However much it was, it fits: the oldest are left out first."""
    newest = [item_of(claim) for claim in reversed(bundle.newest)]
    while len(newest) > 1 and len(dumps({"items": newest})) > MAX_BYTES:
        newest.pop()
    return {
        "count": bundle.total,
        "items": newest,
        "more": bundle.total - len(newest),
        "since": bundle.since.isoformat(timespec="seconds"),
    }


def item_of(claim: Claim) -> dict[str, Any]:
    """What one item says, in plain text and for its person. `data` is left out where it is large."""
    data = dict(claim.data) if len(dumps(claim.data)) <= MAX_DATA else {}
    title, body, link = _said(claim)
    return {
        "title": title[:MAX_TITLE],
        "body": body[:MAX_BODY],
        "link": link if len(link) <= MAX_LINK else "",
        "at": claim.created_at.isoformat(timespec="seconds"),
        "data": data,
    }


def _said(claim: Claim) -> tuple[str, str, str]:
    for channel, names in _WORDS.items():
        try:
            fields = _fields(claim, channel)
        except RenderError:
            continue
        if fields:
            title, body, link = (fields.get(name, "") if name else "" for name in names)
            return (title or body.split("\n", 1)[0], body if title else "", link)
    return "", "", ""


def _fields(claim: Claim, channel: str) -> Mapping[str, str] | None:
    """What it says on a channel, or None when it says nothing there."""
    if claim.content is not None:
        return claim.content.get(channel)
    if catalogue.wording(claim.version_id or 0, channel, claim.locale) is None:
        return None
    data = dict(claim.data)
    claim.channel = channel
    try:
        return content_of(claim)
    finally:
        claim.data = data  # rendering puts the person beside it
