"""A vendor that exists only here: every outcome a real one has, by rates and a seed, or forced by the recipient.

An outcome depends on (seed, delivery id, attempt, claim) alone, so a run can be repeated however its batches fall. How
it behaves can be changed while it runs (`notifications.services.sandbox`).
"""

import asyncio
import hashlib
import math
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from statistics import NormalDist
from typing import NamedTuple

import msgspec
import structlog
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from notifications.choices import Channel, EventType
from notifications.providers import magic
from notifications.providers.base import Failure, OutboundMessage, Outcome, Receipt
from notifications.providers.journal import ACCEPTED, Journal
from notifications.providers.simulated_calls import record
from notifications.providers.simulated_options import Behaviour, Options
from notifications.providers.simulated_reports import Report, schedule
from notifications.providers.simulated_state import states
from notifications.services.rendering.segments import sms_segments

log = structlog.get_logger(__name__)

#: A database that is slow to tell how to behave, or to note a call, must not look like a slow vendor.
DATABASE_SECONDS = 2.0
_NORMAL = NormalDist()
_UINT64 = 2.0**-64


class Draws(NamedTuple):
    """Four independent numbers in [0, 1)."""

    outcome: float
    fate: float
    engagement: float
    pace: float


class SimulatedProvider:
    """Built from `Options`. Raises ImproperlyConfigured for options that make no sense.

    `send` answers after a latency drawn from a log-normal distribution: messages of a call are in flight together, so
    it sleeps once, for the slowest. Test traffic is exempt from the rates of the settings: it is taken and delivered,
    unless the recipient is magic or the sandbox says otherwise.
    """

    def __init__(self, name: str, **options: object) -> None:
        self.name = name
        try:
            self.options = msgspec.convert(options, Options)
        except msgspec.ValidationError as error:
            raise ImproperlyConfigured(f"Provider {name}: {error}") from error
        self._overrides: Mapping[str, object] = {}
        self._behaviour = Behaviour.of(self.options, {})
        self._journal = Journal(self.options.journal) if self.options.journal else None

    async def send(self, messages: Sequence[OutboundMessage]) -> list[Outcome]:
        if not messages:
            return []
        arrived = time.time()
        behaviour = await self._present()
        find, now = magic.FINDERS[messages[0].channel], timezone.now()
        takes_all = {is_test: behaviour.of_message(is_test=is_test).takes_all for is_test in (False, True)}
        outcomes: list[Outcome] = []
        for message in messages:
            forced = find(message.address)
            is_plain = forced is None and takes_all[message.is_test]
            failure = None if is_plain else _answer(message, forced, behaviour, now)
            outcomes.append(failure or Receipt(f"sim-{message.delivery_key.hex()}"))
        # Into the books before the answer leaves: who dies waiting for it, or gives up, has sent all the same.
        if self._journal is not None:
            self._journal.write(self._journal_lines(messages, outcomes, arrived))
        await self._record(messages, outcomes, record_live=behaviour.live.options.record)
        if behaviour.live.options.latency_ms:
            await asyncio.sleep(self._latency(messages, behaviour))
        if behaviour.live.options.receipts:
            await self._schedule(messages, outcomes, behaviour)
        return outcomes

    async def _present(self) -> Behaviour:
        """How to behave now: the settings, and on top of them the sandbox's word."""
        if states.is_due():
            try:
                await asyncio.wait_for(asyncio.to_thread(states.read), DATABASE_SECONDS)
            except TimeoutError:
                log.warning("simulator.state_late", provider=self.name)
        overrides = states.of(self.name)
        if overrides != self._overrides:
            self._overrides = overrides
            try:
                self._behaviour = Behaviour.of(self.options, overrides)
            except msgspec.ValidationError as error:  # written by another version, or beside settings that changed
                log.error("simulator.state_refused", provider=self.name, error=str(error))  # noqa: TRY400 - says it all
                self._behaviour = Behaviour.of(self.options, {})
        return self._behaviour

    def _latency(self, messages: Sequence[OutboundMessage], behaviour: Behaviour) -> float:
        """Seconds until the slowest of the call's messages is answered, in one draw: the n-th root of a uniform number
        is the largest of n of them, and quantiles keep their order."""
        options = behaviour.live.options
        largest = max(_draw(messages[0], behaviour.key).pace, 1e-12) ** (1 / len(messages))
        return options.latency_ms / 1000 * _log_normal(largest, options.latency_sigma)

    def _journal_lines(
        self, messages: Sequence[OutboundMessage], outcomes: Sequence[Outcome], arrived: float
    ) -> Iterator[str]:
        when = f"{arrived:.6f}"
        for message, outcome in zip(messages, outcomes, strict=True):
            said = outcome.code.value if isinstance(outcome, Failure) else ACCEPTED
            parts = sms_segments(message.content.get("body", "")).segments if message.channel == "sms" else 0
            yield f"{message.delivery_key.hex()}\t{message.attempt}\t{self.name}\t{said}\t{parts}\t{when}\n"

    async def _record(
        self, messages: Sequence[OutboundMessage], outcomes: Sequence[Outcome], *, record_live: bool
    ) -> None:
        """Write down what came in, for people to read: test traffic always, live traffic where asked for. Failing to
        is never a reason to fail the send."""
        kept = [call for call in zip(messages, outcomes, strict=True) if record_live or call[0].is_test]
        if not kept:
            return
        try:
            await asyncio.wait_for(asyncio.to_thread(record, self.name, kept), DATABASE_SECONDS)
        except Exception as error:
            log.warning("simulator.calls_unrecorded", provider=self.name, calls=len(kept), error=type(error).__name__)

    async def _schedule(
        self, messages: Sequence[OutboundMessage], outcomes: Sequence[Outcome], behaviour: Behaviour
    ) -> None:
        """Put down what the vendor will report of the messages it took. A report that is lost, as with any vendor, is
        never a reason to fail the send."""
        find = magic.FINDERS[messages[0].channel]
        taken = [message for message, outcome in zip(messages, outcomes, strict=True) if isinstance(outcome, Receipt)]
        reports = [report for message in taken for report in _reports(message, find(message.address), behaviour)]
        try:
            await asyncio.to_thread(schedule, self.name, reports)
        except Exception as error:
            log.warning("simulator.reports_lost", provider=self.name, reports=len(reports), error=type(error).__name__)


def _answer(
    message: OutboundMessage, forced: magic.Magic | None, behaviour: Behaviour, now: datetime
) -> Failure | None:
    """Why the vendor does not take this attempt; None when it does."""
    terms = behaviour.of_message(is_test=message.is_test)
    if terms.options.outage:
        return magic.UNAVAILABLE
    if forced is not None:
        return forced.answer(message)
    return terms.answer(_draw(message, behaviour.key).outcome, now) if terms.answers else None


#: What vendors of a channel can tell of a message besides that it arrived.
TELLS: dict[str, frozenset[EventType]] = {
    Channel.EMAIL: frozenset({EventType.BOUNCED, EventType.COMPLAINED, EventType.OPENED, EventType.CLICKED}),
    Channel.SMS: frozenset({EventType.BOUNCED}),
    Channel.PUSH: frozenset({EventType.OPENED}),
    Channel.IN_APP: frozenset(),
}


def _draw(message: OutboundMessage, key: bytes) -> Draws:
    payload = message.delivery_key + struct.pack("<2q", message.attempt, message.claim)
    digest = hashlib.blake2b(payload, digest_size=32, key=key).digest()
    return Draws(*(number * _UINT64 for number in struct.unpack("<4Q", digest)))


def _reports(message: OutboundMessage, forced: magic.Magic | None, behaviour: Behaviour) -> list[Report]:
    options = behaviour.of_message(is_test=message.is_test).options
    draws = _draw(message, behaviour.key)
    types = _fate(message.channel, draws, options) if forced is None else forced.reports
    pace = options.receipt_delay_ms / 1000 * (0.5 + draws.pace)
    return [Report(message.delivery_id, type, pace * step) for step, type in enumerate(types, 1)]


def _fate(channel: str, draws: Draws, options: Options) -> tuple[EventType, ...]:
    """What becomes of a taken message, by the rates and by what vendors of the channel can tell."""
    can = TELLS[channel]
    if draws.fate < options.bounce_rate and EventType.BOUNCED in can:
        return (EventType.BOUNCED,)
    if draws.fate >= 1 - options.complaint_rate and EventType.COMPLAINED in can:
        return (EventType.DELIVERED, EventType.COMPLAINED)
    if draws.engagement < options.click_rate and EventType.CLICKED in can:
        return (EventType.DELIVERED, EventType.OPENED, EventType.CLICKED)
    if draws.engagement < options.open_rate and EventType.OPENED in can:
        return (EventType.DELIVERED, EventType.OPENED)
    return (EventType.DELIVERED,)


def _log_normal(quantile: float, sigma: float) -> float:
    """The quantile of a log-normal distribution with median 1."""
    return math.exp(sigma * _NORMAL.inv_cdf(min(max(quantile, 1e-12), 1 - 1e-12)))
