"""A vendor that exists only here: every outcome a real one has, by rates and a seed, or forced by the recipient.

An outcome depends on (seed, delivery id, attempt) alone, so a run can be repeated however its batches fall.
"""

import asyncio
import hashlib
import itertools
import math
import struct
import time
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import msgspec
import structlog
from django.core.exceptions import ImproperlyConfigured

from notifications.choices import Channel, EventType
from notifications.providers import magic
from notifications.providers.base import Failure, OutboundMessage, Outcome, Receipt
from notifications.providers.journal import ACCEPTED, Journal
from notifications.providers.simulated_reports import Report, schedule
from notifications.services.rendering.segments import sms_segments

log = structlog.get_logger(__name__)

_NORMAL = NormalDist()
_UINT64 = 2.0**-64


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What `settings.SIMULATOR_OPTIONS` may say. Rates are shares of the messages; what success, temporary, invalid
    and throttle leave over is refused for good. Times are milliseconds unless the name says seconds."""

    seed: int = 1
    success_rate: float = 1.0
    temporary_rate: float = 0.0
    invalid_rate: float = 0.0
    throttle_rate: float = 0.0
    throttle_seconds: float = 2.0
    latency_ms: float = 0.0
    latency_sigma: float = 0.4
    outage: bool = False
    receipts: bool = False
    receipt_delay_ms: float = 1500.0
    bounce_rate: float = 0.0
    complaint_rate: float = 0.0
    open_rate: float = 0.0
    click_rate: float = 0.0
    journal: str = ""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if name.endswith("_rate") and not 0 <= value <= 1:
                raise ValueError(f"{name} is a share from 0 to 1, not {value}")
            if name.endswith(("_ms", "_seconds", "_sigma")) and not 0 <= value < math.inf:
                raise ValueError(f"{name} is not negative, and {value} is")
        if self.success_rate + self.temporary_rate + self.invalid_rate + self.throttle_rate > 1 + 1e-9:
            raise ValueError("success_rate, temporary_rate, invalid_rate and throttle_rate are more than 1 together")
        if self.bounce_rate + self.complaint_rate > 1 + 1e-9:
            raise ValueError("bounce_rate and complaint_rate are more than 1 together")


class Draws(NamedTuple):
    """Four independent numbers in [0, 1)."""

    outcome: float
    fate: float
    engagement: float
    pace: float


class SimulatedProvider:
    """Built from `Options`. Raises ImproperlyConfigured for options that make no sense.

    `send` answers after a latency drawn from a log-normal distribution: messages of a call are in flight together, so
    it sleeps once, for the slowest. Test traffic is exempt from the rates: it is taken and delivered, unless the
    recipient is magic.
    """

    def __init__(self, name: str, **options: object) -> None:
        self.name = name
        try:
            self.options = msgspec.convert(options, Options)
        except msgspec.ValidationError as error:
            raise ImproperlyConfigured(f"Provider {name}: {error}") from error
        self._key = struct.pack("<q", self.options.seed)
        self._answers = _answers(self.options)
        self._journal = Journal(self.options.journal) if self.options.journal else None

    async def send(self, messages: Sequence[OutboundMessage]) -> list[Outcome]:
        if not messages:
            return []
        arrived = time.time()
        outcomes: list[Outcome] = []
        taken: list[tuple[OutboundMessage, magic.Magic | None]] = []
        find = magic.FINDERS[messages[0].channel]
        for message in messages:
            forced = find(message.address)
            failure = self._answer(message, forced)
            if failure is not None:
                outcomes.append(failure)
                continue
            outcomes.append(Receipt(f"sim-{message.delivery_id.hex}"))
            taken.append((message, forced))
        if self._journal is not None:  # before the answer leaves: who dies waiting for it has sent all the same
            lines = map(self._journal_line, messages, outcomes, itertools.repeat(arrived))
            self._journal.write(lines)
        if self.options.latency_ms:
            await asyncio.sleep(self._latency(messages))
        if self.options.receipts and taken:
            await self._schedule(taken)
        return outcomes

    def _answer(self, message: OutboundMessage, forced: magic.Magic | None) -> Failure | None:
        """Why the vendor does not take this attempt; None when it does."""
        if self.options.outage:
            return magic.UNAVAILABLE
        if forced is not None:
            return forced.answer(message.attempt)
        if not self._answers or message.is_test:
            return None
        drawn = self._draw(message).outcome
        for limit, failure in self._answers:
            if drawn < limit:
                return failure
        return magic.REJECTED

    def _draw(self, message: OutboundMessage) -> Draws:
        payload = message.delivery_id.bytes + struct.pack("<q", message.attempt)
        digest = hashlib.blake2b(payload, digest_size=32, key=self._key).digest()
        return Draws(*(number * _UINT64 for number in struct.unpack("<4Q", digest)))

    def _latency(self, messages: Sequence[OutboundMessage]) -> float:
        """Seconds until the slowest of the call's messages is answered, in one draw: the n-th root of a uniform number
        is the largest of n of them, and quantiles keep their order."""
        largest = max(self._draw(messages[0]).pace, 1e-12) ** (1 / len(messages))
        return self.options.latency_ms / 1000 * _log_normal(largest, self.options.latency_sigma)

    def _journal_line(self, message: OutboundMessage, outcome: Outcome, arrived: float) -> str:
        word = outcome.code.value if isinstance(outcome, Failure) else ACCEPTED
        segments = sms_segments(message.content.get("body", "")).segments if message.channel == Channel.SMS else 0
        return f"{message.delivery_id}\t{message.attempt}\t{self.name}\t{word}\t{segments}\t{arrived:.6f}\n"

    async def _schedule(self, taken: Sequence[tuple[OutboundMessage, magic.Magic | None]]) -> None:
        """Put down what the vendor will report of the messages it took. A report that is lost, as with any vendor, is
        never a reason to fail the send."""
        reports = [report for message, forced in taken for report in self._reports(message, forced)]
        try:
            await asyncio.to_thread(schedule, self.name, reports)
        except Exception as error:
            log.warning("simulator.reports_lost", provider=self.name, reports=len(reports), error=type(error).__name__)

    def _reports(self, message: OutboundMessage, forced: magic.Magic | None) -> list[Report]:
        draws = self._draw(message)
        types = self._fate(message, draws) if forced is None else forced.reports
        pace = self.options.receipt_delay_ms / 1000 * (0.5 + draws.pace)
        return [Report(message.delivery_id, type, pace * step) for step, type in enumerate(types, 1)]

    def _fate(self, message: OutboundMessage, draws: Draws) -> tuple[EventType, ...]:
        """What becomes of a taken message, by the rates and by what vendors of the channel can tell."""
        delivered = (EventType.DELIVERED,)
        can = _TELLS[message.channel]
        if message.is_test:
            return delivered
        if draws.fate < self.options.bounce_rate and EventType.BOUNCED in can:
            return (EventType.BOUNCED,)
        if draws.fate >= 1 - self.options.complaint_rate and EventType.COMPLAINED in can:
            return (EventType.DELIVERED, EventType.COMPLAINED)
        if draws.engagement < self.options.click_rate and EventType.CLICKED in can:
            return (EventType.DELIVERED, EventType.OPENED, EventType.CLICKED)
        if draws.engagement < self.options.open_rate and EventType.OPENED in can:
            return (EventType.DELIVERED, EventType.OPENED)
        return delivered


_TELLS: dict[str, frozenset[EventType]] = {
    Channel.EMAIL: frozenset({EventType.BOUNCED, EventType.COMPLAINED, EventType.OPENED, EventType.CLICKED}),
    Channel.SMS: frozenset({EventType.BOUNCED}),
    Channel.PUSH: frozenset({EventType.OPENED}),
    Channel.IN_APP: frozenset(),
}


def _answers(options: Options) -> list[tuple[float, Failure | None]]:
    """Upper limits of a uniform draw and the answer below each; empty when every message is taken."""
    if options.success_rate >= 1:
        return []
    failures: tuple[tuple[float, Failure], ...] = (
        (options.temporary_rate, magic.UNAVAILABLE),
        (options.invalid_rate, magic.INVALID),
        (options.throttle_rate, magic.throttled(options.throttle_seconds)),
    )
    table: list[tuple[float, Failure | None]] = [(options.success_rate, None)]
    for rate, failure in failures:
        table.append((table[-1][0] + rate, failure))
    return table


def _log_normal(quantile: float, sigma: float) -> float:
    """The quantile of a log-normal distribution with median 1."""
    return math.exp(sigma * _NORMAL.inv_cdf(min(max(quantile, 1e-12), 1 - 1e-12)))
