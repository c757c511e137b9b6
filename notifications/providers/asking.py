"""One call to one provider: counted, bounded in time, and never an exception."""

import asyncio
import time
from collections.abc import Sequence

import structlog
from django.conf import settings

from core.faults import where
from notifications import metrics
from notifications.choices import FailureCode
from notifications.providers.base import Failure, OutboundMessage, Outcome, Provider

log = structlog.get_logger(__name__)


def ask(loop: asyncio.AbstractEventLoop, provider: Provider, messages: Sequence[OutboundMessage]) -> list[Outcome]:
    """What became of each message. No transaction is open meanwhile: a slow provider must not hold rows."""
    began = time.monotonic()
    result, outcomes = _outcomes(loop, provider, messages)
    metrics.CALLS.inc(messages[0].channel, provider.name, result)
    metrics.CALL_SECONDS.observe(messages[0].channel, provider.name, value=time.monotonic() - began)
    return outcomes


def _outcomes(
    loop: asyncio.AbstractEventLoop, provider: Provider, messages: Sequence[OutboundMessage]
) -> tuple[str, list[Outcome]]:
    """What became of the call, and of each message."""
    try:
        outcomes = loop.run_until_complete(asyncio.wait_for(provider.send(messages), settings.PROVIDER_TIMEOUT_SECONDS))
    except TimeoutError:
        silence = Failure(FailureCode.TIMEOUT, temporary=True, detail="No answer in time.")
        return "timeout", [silence] * len(messages)
    except Exception as error:
        # Not the exception itself: a vendor's library may quote the address or the message in it.
        log.error("worker.provider_crashed", provider=provider.name, error=type(error).__name__, at=where(error))  # noqa: TRY400 - a traceback may quote an address
        detail = f"{type(error).__name__} in the provider."
        return "crashed", [Failure(FailureCode.INTERNAL, temporary=True, detail=detail)] * len(messages)
    if len(outcomes) != len(messages):
        log.error("worker.provider_miscounted", provider=provider.name, asked=len(messages), got=len(outcomes))
        wrong = Failure(FailureCode.INTERNAL, temporary=True, detail="Wrong number of outcomes.")
        return "miscounted", [wrong] * len(messages)
    return "answered", outcomes
