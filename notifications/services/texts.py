"""A text message past the pipeline: to a number that is nobody's yet, and of which nothing stays on the record."""

import asyncio
import time
from collections.abc import Sequence
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from core import ids
from notifications import registry
from notifications.choices import Channel, Priority
from notifications.providers.asking import ask
from notifications.providers.base import OutboundMessage, Outcome, Provider, Receipt
from notifications.providers.failover import Failover
from notifications.providers.gate import ProviderGate
from notifications.services.claims import Claim

#: Circuits and limits hold for these too; before everything else that waits.
_LANE = (Channel.SMS.value, Priority.CRITICAL.value)
_gate = ProviderGate()


def send(recipient: UUID, number: str, text: str) -> bool:
    """Offer `text` to the channel's providers in order, now; whether one took it. It is tried once: somebody waits in
    front of a page, and may ask again. What the vendor reports of it later is of no delivery, and suppresses nobody."""
    key, person, now = ids.key(ids.uuid7()), ids.key(recipient), timezone.now()
    message = OutboundMessage(
        delivery_key=key,
        notification_key=key,
        recipient_key=person,
        channel=Channel.SMS.value,
        address=number,
        content={"body": text},
        category="",
    )
    claim = Claim(_LANE, (key, key, person, None, 1, 0, now, now), None, None, None)  # of nothing that is stored
    deadline = time.monotonic() + settings.PROVIDER_TIMEOUT_SECONDS
    chain = registry.chain(Channel.SMS, is_test=False)
    [answer] = Failover(_gate, _call).send(chain, [(claim, message)], deadline, priority=Priority.CRITICAL.value)
    return isinstance(answer.outcome, Receipt)


def _call(provider: Provider, messages: Sequence[OutboundMessage]) -> list[Outcome]:
    with asyncio.Runner() as runner:
        return ask(runner.get_loop(), provider, messages)
