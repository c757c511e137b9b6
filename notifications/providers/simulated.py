"""A vendor that exists only here: every outcome a real one has, by rates and a seed, or forced by the recipient."""

from collections.abc import Sequence

from notifications.providers.base import OutboundMessage, Outcome, Receipt


class SimulatedProvider:
    """Takes every message."""

    def __init__(self, name: str, **options: object) -> None:
        self.name = name

    async def send(self, messages: Sequence[OutboundMessage]) -> list[Outcome]:
        return [Receipt(f"sim-{message.delivery_id.hex}") for message in messages]
