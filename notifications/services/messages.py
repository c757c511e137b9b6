"""From a claim to what a provider is handed: the wording filled in for its person."""

from collections.abc import Mapping

from notifications.errors import RenderError
from notifications.providers.base import OutboundMessage
from notifications.services.claims import Claim
from notifications.services.templates import catalogue


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
    return catalogue.render(claim.version_id, claim.channel, claim.locale, context)


def message_of(claim: Claim, content: Mapping[str, str], category: str) -> OutboundMessage:
    """What a provider is handed; `category` is a slug."""
    return OutboundMessage(
        delivery_key=claim.id,
        notification_key=claim.notification_id,
        recipient_key=claim.recipient_id,
        channel=claim.channel,
        address=claim.address,
        content=content,
        category=category,
        platform=claim.platform,
        attempt=claim.attempt,
        claim=claim.number,
        is_test=claim.is_test,
        metadata=claim.metadata,
    )
