"""The rows behind a verdict: what a person said, where they can be reached, which limits are set. Each read once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from notifications.choices import Channel
from notifications.models import ProviderSwitch, RateLimit
from notifications.models.limits import LimitScope
from notifications.words import redacted_email, redacted_phone
from preferences.models import DeviceToken, MarketingStop, Preference, Recipient, Suppression
from preferences.services import MAX_DEVICES

#: Rows of one person that are looked at: four channels times some dozens of categories.
_MAX_WORDS = 1000


@dataclass(frozen=True, slots=True)
class Person:
    """A recipient with their words by (channel, category id or None), suppressions by channel, devices, the live
    ones first, and noes to all marketing by channel."""

    recipient: Recipient
    words: Mapping[tuple[str, int | None], Preference]
    suppressions: Mapping[str, Sequence[Suppression]]
    devices: Sequence[DeviceToken]
    stops: Mapping[str, MarketingStop] = field(default_factory=dict)

    def word(self, channel: str, category_id: int) -> Preference | None:
        """The row that decides: the narrower one wins."""
        return self.words.get((channel, category_id)) or self.words.get((channel, None))

    @property
    def live(self) -> list[DeviceToken]:
        return [device for device in self.devices if device.retired_at is None][:MAX_DEVICES]

    def addresses(self, channel: str) -> list[str]:
        """Where they are reached, redacted."""
        if channel == Channel.EMAIL:
            return [redacted_email(self.recipient.email)] if self.recipient.email else []
        if channel == Channel.SMS:
            return [redacted_phone(self.recipient.phone)] if self.recipient.phone else []
        if channel == Channel.PUSH:
            return [f"{one.get_platform_display()} · {one.label or one.token_hash[:8]}" for one in self.live]
        return ["their feed"]


@dataclass(frozen=True, slots=True)
class Rules:
    """Limits by (scope, target) and switches by provider."""

    limits: Mapping[tuple[str, str], RateLimit] = field(default_factory=dict)
    switches: Mapping[str, ProviderSwitch] = field(default_factory=dict)

    def of_person(self, category: str) -> list[RateLimit]:
        """Those that concern messages of a category to one person."""
        return [one for target in (category, "") if (one := self.limits.get((LimitScope.RECIPIENT, target)))]

    def of_provider(self, name: str) -> list[RateLimit]:
        asked = ((LimitScope.PROVIDER, name), (LimitScope.GLOBAL, ""))
        return [one for which in asked if (one := self.limits.get(which))]


def person(external_id: str) -> Person | None:
    """None for somebody unknown. Five queries."""
    recipient = Recipient.objects.filter(external_id=external_id).first()
    if recipient is None:
        return None
    words = Preference.objects.filter(recipient=recipient)[:_MAX_WORDS]
    given = ((Channel.EMAIL, recipient.email), (Channel.SMS, recipient.phone))
    hashes = {(str(channel), Suppression.hash_of(address)) for channel, address in given if address}
    suppressed: dict[str, list[Suppression]] = {}
    for one in Suppression.objects.filter(address_hash__in=[hash for _, hash in hashes]).order_by("id"):
        if (one.channel, one.address_hash) in hashes:
            suppressed.setdefault(one.channel, []).append(one)
    devices = DeviceToken.objects.filter(recipient=recipient).order_by("-registered_at")[: 4 * MAX_DEVICES]
    return Person(
        recipient,
        {(word.channel, word.category_id): word for word in words},
        suppressed,
        sorted(devices, key=lambda device: device.retired_at is not None),
        {stop.channel: stop for stop in MarketingStop.objects.filter(recipient=recipient)},
    )


def rules() -> Rules:
    """All limits that are on, and who is switched off. Two queries."""
    return Rules(
        {(one.scope, one.target): one for one in RateLimit.objects.filter(is_on=True)},
        {one.provider: one for one in ProviderSwitch.objects.all()},
    )
