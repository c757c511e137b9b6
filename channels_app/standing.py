"""What a socket compares itself with from time to time: whether it may stay, and whether it missed anything."""

from collections.abc import Sequence
from dataclasses import dataclass

from channels_app import identity
from channels_app.identity import Claim, Identity
from channels_app.models import FeedCursor


@dataclass(frozen=True, slots=True)
class Standing:
    """Who a claim stands for, None when it holds no more; and how often their feed has changed."""

    who: Identity | None
    version: int


def look(claims: Sequence[Claim]) -> list[Standing]:
    """For each, in their order: two queries by primary key, and one for each session."""
    people = {claim.recipient_id for claim in claims}
    versions = dict(FeedCursor.objects.filter(recipient_id__in=people).values_list("recipient_id", "version"))
    found = identity.find_all(claims)
    return [Standing(who, versions.get(claim.recipient_id, 0)) for claim, who in zip(claims, found, strict=True)]
