"""What a provider's "this address is not valid" means for later messages."""

from collections.abc import Sequence

from core import ids
from notifications.choices import Channel, EventType, FailureCode
from notifications.services.claims import Result
from preferences.choices import SuppressionReason, Way
from preferences.services import PreferencesService, Trace


def retire_invalid(results: Sequence[Result], preferences: PreferencesService) -> None:
    """Retire device tokens and suppress addresses that a provider refused as invalid.

    A token that was registered again since the claim stays: its owner has just said that it works.
    Test traffic changes nobody's addresses.
    """
    refused = [
        r
        for r in results
        if r.type is EventType.FAILED and r.code == FailureCode.INVALID_ADDRESS and not r.claim.is_test
    ]
    trace = Trace(Way.PROVIDER)
    for channel in {r.claim.channel for r in refused}:
        claims = [r.claim for r in refused if r.claim.channel == channel]
        if channel == Channel.PUSH:
            oldest = min(claim.claimed_at for claim in claims)
            tokens = [ids.uuid(claim.device_id) for claim in claims if claim.device_id is not None]
            preferences.retire_tokens(tokens, "invalid_address", not_after=oldest, trace=trace)
        elif channel in (Channel.EMAIL, Channel.SMS):
            entries = [(channel, claim.address) for claim in claims]
            preferences.suppress_all(entries, SuppressionReason.HARD_BOUNCE, "provider", trace)
