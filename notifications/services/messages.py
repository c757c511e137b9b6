"""From a claim to what a provider is handed: the wording filled in for its person."""

import time
from collections.abc import Callable, Mapping

from notifications.choices import Channel
from notifications.errors import RenderError
from notifications.providers.base import OutboundMessage
from notifications.services.claims import Claim
from notifications.services.template_variables import PREFERENCES_URL, UNSUBSCRIBE_URL
from notifications.services.templates import catalogue
from preferences import centre, unsubscribing
from preferences.services import CategoryInfo


def content_of(claim: Claim) -> Mapping[str, str]:
    """What the message says on its channel, field by field. Raises RenderError."""
    if claim.content is not None:
        return claim.content[claim.channel]
    if claim.version_id is None:
        raise RenderError("The content was erased.")
    context = claim.data  # parsed for this claim alone
    context["recipient"] = {
        "external_id": claim.external_id,
        "name": claim.name,
        "locale": claim.locale,
        "timezone": claim.timezone,
        "attributes": claim.attributes,
    }
    for link in catalogue.links(claim.version_id, claim.channel, claim.locale):
        context[link] = _LINKS[link](claim)
    return catalogue.render(claim.version_id, claim.channel, claim.locale, context)


def message_of(claim: Claim, content: Mapping[str, str], category: CategoryInfo | None) -> OutboundMessage:
    """What a provider is handed; of a category that is gone it is not told the name."""
    return OutboundMessage(
        delivery_key=claim.id,
        notification_key=claim.notification_id,
        recipient_key=claim.recipient_id,
        channel=claim.channel,
        address=claim.address,
        content=content,
        category=category.slug if category else "",
        platform=claim.platform,
        attempt=claim.attempt,
        claim=claim.number,
        is_test=claim.is_test,
        metadata=claim.metadata,
        headers=_headers(claim) if category and category.is_marketing else {},
    )


def _headers(claim: Claim) -> Mapping[str, str]:
    """The button of mail programs (RFC 8058), and what large mailbox providers ask of marketing email."""
    if claim.channel != Channel.EMAIL:
        return {}
    return {"List-Unsubscribe": f"<{_way_out(claim)}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}


def _way_out(claim: Claim) -> str:
    return unsubscribing.address(claim.recipient_id, claim.category_id, claim.channel, now=time.time())


def _way_to_choices(claim: Claim) -> str:
    return centre.address(claim.recipient_id, now=time.time())


_LINKS: Mapping[str, Callable[[Claim], str]] = {UNSUBSCRIBE_URL: _way_out, PREFERENCES_URL: _way_to_choices}
