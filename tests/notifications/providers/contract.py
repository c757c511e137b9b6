"""What every provider promises, as tests to inherit.

class TestMine(ProviderContract):
    channel = "email"

    @pytest.fixture
    def provider(self) -> Provider: ...

Override `message` when the address or the recipient must exist, and `bad_message` with one that the provider refuses
for a reason of its own (leave it out when there is none).
"""

import asyncio
from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec
import pytest

from core.ids import uuid7
from notifications.choices import Channel, FailureCode
from notifications.models.outbox import MAX_DELIVERIES
from notifications.providers.base import Failure, OutboundMessage, Outcome, Provider, Receipt

ADDRESS = {
    Channel.EMAIL: "user-{n}@example.com",
    Channel.SMS: "+12025550{n:03d}",
    Channel.PUSH: "token-{n}",
    Channel.IN_APP: "user-{n}",
}
CONTENT = {
    Channel.EMAIL: {"subject": "Order 4711", "text": "Order 4711 has left."},
    Channel.SMS: {"body": "Order 4711 has left."},
    Channel.PUSH: {"title": "Order 4711", "body": "It has left: 4711."},
    Channel.IN_APP: {"title": "Order 4711", "body": "It has left: 4711."},
}


def send(provider: Provider, messages: Sequence[OutboundMessage]) -> list[Outcome]:
    """As a worker calls it: on an event loop of the worker's thread."""
    return asyncio.run(provider.send(messages))


class ProviderContract:
    channel: ClassVar[str]
    #: Whether two sends of one delivery id have one effect. A provider whose vendor knows no idempotency key says no.
    idempotent: ClassVar[bool] = True

    def message(self, n: int = 0, **changes: Any) -> OutboundMessage:
        base = OutboundMessage(
            delivery_key=uuid7().bytes,
            notification_key=uuid7().bytes,
            recipient_key=uuid7().bytes,
            channel=self.channel,
            address=ADDRESS[Channel(self.channel)].format(n=n),
            content=CONTENT[Channel(self.channel)],
            category="orders",
            platform="fcm" if self.channel == Channel.PUSH else "",
        )
        return msgspec.structs.replace(base, **changes)

    def messages(self, count: int) -> list[OutboundMessage]:
        return [self.message(n) for n in range(count)]

    def bad_message(self) -> OutboundMessage | None:
        return None

    def test_it_says_its_name(self, provider: Provider) -> None:
        assert provider.name
        assert len(provider.name) <= 32

    def test_nothing_to_send_is_no_error(self, provider: Provider) -> None:
        assert send(provider, []) == []

    def test_there_is_one_outcome_per_message(self, provider: Provider) -> None:
        outcomes = send(provider, self.messages(7))

        assert len(outcomes) == 7
        assert all(isinstance(outcome, Receipt) for outcome in outcomes)

    def test_a_full_batch_is_taken(self, provider: Provider) -> None:
        outcomes = send(provider, self.messages(MAX_DELIVERIES))

        assert sum(isinstance(outcome, Receipt) for outcome in outcomes) == MAX_DELIVERIES

    def test_names_for_messages_fit_the_record_and_are_not_shared(self, provider: Provider) -> None:
        names = [outcome.provider_message_id for outcome in send(provider, self.messages(5))]  # type: ignore[union-attr]

        assert all(len(name) <= 128 for name in names)
        named = [name for name in names if name]
        assert len(set(named)) == len(named)

    def test_one_bad_message_fails_in_its_place_alone(self, provider: Provider) -> None:
        # Given a bad message between two good ones
        bad = self.bad_message()
        if bad is None:
            pytest.skip("This provider refuses no message for reasons of its own.")
        good = self.messages(2)
        # When all are sent in one call
        first, refused, last = send(provider, [good[0], bad, good[1]])
        # Then its neighbours went through, and the failure is in our words and quotes neither address nor content
        assert isinstance(first, Receipt)
        assert isinstance(last, Receipt)
        assert isinstance(refused, Failure)
        assert refused.code in FailureCode
        assert bad.address not in refused.detail
        assert not any(text in refused.detail for text in bad.content.values() if text)

    def test_sending_a_delivery_again_has_no_second_effect(self, provider: Provider) -> None:
        if not self.idempotent:
            pytest.skip("This provider's vendor takes no idempotency key.")
        messages = self.messages(3)

        first, second = send(provider, messages), send(provider, messages)

        assert first == second
        assert self.effects(messages) == len(messages)

    def effects(self, messages: Sequence[OutboundMessage]) -> int:
        """How many messages a recipient would see; override where that can be counted."""
        return len(messages)

    def test_several_calls_may_be_in_flight(self, provider: Provider) -> None:
        async def both() -> list[list[Outcome]]:
            return await asyncio.gather(provider.send(self.messages(3)), provider.send(self.messages(4)))

        assert [len(outcomes) for outcomes in asyncio.run(both())] == [3, 4]
