"""A scripted provider: says what a test tells it to and remembers every call."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from notifications import registry
from notifications.choices import FailureCode
from notifications.observers import OutcomeKey
from notifications.providers.base import Failure, OutboundMessage, Outcome, Receipt


class FakeProvider:
    """Takes everything unless told otherwise. `calls` are the messages it took, in order."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls: list[OutboundMessage] = []
        self._temporary = 0
        self._refuse: FailureCode | None = None
        self._crash = False
        self.code = FailureCode.UNAVAILABLE

    def fail_temporarily(self, *, times: int, code: FailureCode = FailureCode.UNAVAILABLE) -> None:
        self._temporary, self.code = times, code

    def refuse_address(self) -> None:
        self._refuse = FailureCode.INVALID_ADDRESS

    def crash(self) -> None:
        self._crash = True

    async def send(self, messages: Sequence[OutboundMessage]) -> list[Outcome]:
        if self._crash:
            raise RuntimeError("the provider's library fell over")
        if self._temporary:
            self._temporary -= 1
            return [Failure(self.code, temporary=True, detail="try later")] * len(messages)
        if self._refuse:
            return [Failure(self._refuse, temporary=False, detail="no such address")] * len(messages)
        self.calls += messages
        return [Receipt(f"fake-{message.delivery_id}") for message in messages]


def use_provider(settings: Any, *providers: FakeProvider) -> FakeProvider:
    """Put fakes in place of every channel's chain; returns the first."""
    names = [provider.name for provider in providers]
    made = {provider.name: provider for provider in providers}
    settings.PROVIDERS = {
        **settings.PROVIDERS,
        **{name: {"class": "tests.notifications.fakes.given", "options": {"made": made}} for name in names},
    }
    settings.PROVIDER_CHAINS = dict.fromkeys(settings.PROVIDER_CHAINS, names)
    registry.provider.cache_clear()
    return providers[0]


def given(*, name: str, made: dict[str, FakeProvider]) -> FakeProvider:
    """What the registry builds: the fake the test holds."""
    return made[name]


class RecordingObserver:
    """Keeps what was counted; the test empties it."""

    counts: ClassVar[dict[OutcomeKey, int]] = {}

    def record(self, counts: Mapping[OutcomeKey, int], at: datetime | None = None) -> None:
        for key, count in counts.items():
            self.counts[key] = self.counts.get(key, 0) + count
