"""ProviderGate: whether a provider may be asked now, and for how many messages.

In this order: a person's switch, the pause that a 429 asked for, the circuit, the limits. A limit is asked last and
only when all else grants, so that nothing is used up in vain.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError

from core import redis
from notifications.choices import HoldReason
from notifications.models import ProviderSwitch
from notifications.providers.breaker import Breaker
from notifications.providers.circuit import PROBE_LOOK_SECONDS, Report
from notifications.services.rate_limiter import Allowance, RateLimiter

log = structlog.get_logger(__name__)

#: A switch takes effect in every process within this many seconds.
SWITCHES_SECONDS = 1.0
#: What a switched-off provider's messages wait before they look again: a person decides, which takes longer than this.
SWITCHED_OFF_SECONDS = 5.0
#: How long `room` believes its last look at a chain.
LOOK_SECONDS = 0.25
#: The pause after a 429 that names no time, or none that is still to come.
PAUSE_SECONDS = 5.0


class Permit(NamedTuple):
    """`granted` messages may be handed to the provider now. For the rest `reason` is a HoldReason, and it is worth
    asking again after `wait` seconds; from then on about `per_second` go (0.0: all at once). `probe` is set when this
    is the one call that a half-open circuit lets through: it is reported, or nobody else is let through for a while."""

    granted: int
    reason: str = ""
    wait: float = 0.0
    per_second: float = 0.0
    probe: str = ""


class ProviderGate:
    """Switches, circuits, pauses and limits of providers, shared by all workers; one for all threads of a process.

    Without Redis: switches hold, circuits and pauses are each process's own (see Breaker), limits are what RateLimiter
    makes of it. Without PostgreSQL the switches are as they were last read. Never raises for either.
    """

    def __init__(self, limiter: RateLimiter | None = None, breaker: Breaker | None = None) -> None:
        self.limiter = limiter or RateLimiter()
        self.breaker = breaker or Breaker()
        self._switches = _Switches()
        self._looks: dict[tuple[str, ...], tuple[float, Mapping[str, float]]] = {}  # chain: when, and what `_look` said

    def room(self, providers: Sequence[str], n: int, *, priority: str) -> Permit:
        """Before anything is claimed: of n messages for this chain, how many are worth claiming now. Uses nothing up;
        the rest is in the limit's line. Looks at the chain once in LOOK_SECONDS, and at limits where there are any."""
        if not providers:
            return Permit(n)
        now = time.monotonic()
        opens = self._opens(tuple(providers), now)
        first = next((name for name in providers if opens[name] <= now), None)
        if first is None:
            return Permit(0, HoldReason.CIRCUIT_OPEN.value, min(opens.values()) - now)
        allowance = self.limiter.room(first, n, priority=priority)
        return Permit(n) if allowance.granted >= n else _limited(allowance)

    def ask(self, provider: str, n: int, *, priority: str) -> Permit:
        """How many of n messages the provider may be handed now."""
        if n < 1:
            return Permit(0)
        if provider in self._switches.off():
            return Permit(0, HoldReason.SWITCHED_OFF.value, SWITCHED_OFF_SECONDS)
        reason, wait, probe = self.breaker.ask(provider)
        if reason:
            return Permit(0, reason, wait)
        asked = 1 if probe else n
        allowance = self.limiter.provider(provider, asked, priority=priority)
        if probe and not allowance.granted:
            self.breaker.report(provider, Report(probe=probe))
        if allowance.granted < asked:
            return _limited(allowance)
        if probe and n > 1:
            return Permit(1, HoldReason.CIRCUIT_OPEN.value, PROBE_LOOK_SECONDS, probe=probe)
        return Permit(asked, probe=probe)

    def report(
        self,
        provider: str,
        permit: Permit,
        *,
        answered: int,
        failed: int,
        seconds: float,
        retry_after: float | None = None,
    ) -> None:
        """Tell how a permitted call went: of its messages `answered` were taken or refused for good, `failed` were not
        answered (unavailable, timed out, crashed), and what was throttled is in neither. `retry_after`: the longest
        wait a 429 named, 0.0 when it named none, None when there was no 429. A probe whose call was not made is given
        back with 0 and 0."""
        said = Report(answered, failed, seconds, _pause(retry_after), permit.probe)
        if answered or failed or said.pause or said.probe:
            self.breaker.report(provider, said)

    def _opens(self, chain: tuple[str, ...], now: float) -> Mapping[str, float]:
        """When each may be asked (monotonic), looked at once in LOOK_SECONDS."""
        looked_at, opens = self._looks.get(chain, (0.0, {}))
        if looked_at == 0.0 or not looked_at <= now < looked_at + LOOK_SECONDS:
            opens = self._look(chain, now)
            self._looks[chain] = (now, opens)
        return opens

    def _look(self, chain: Sequence[str], now: float) -> dict[str, float]:
        off = self._switches.off()
        on = [name for name in chain if name not in off]
        waits = dict(zip(on, self.breaker.waits(on), strict=True)) if on else {}
        return {name: now + waits.get(name, SWITCHED_OFF_SECONDS) for name in chain}


class _Switches:
    """The names of switched-off providers, read again after SWITCHES_SECONDS."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._off: frozenset[str] = frozenset()
        self._good_until = 0.0

    def off(self) -> frozenset[str]:
        with self._lock:
            if time.monotonic() >= self._good_until:
                try:
                    self._off = frozenset(ProviderSwitch.objects.values_list("provider", flat=True))
                except (OperationalError, InterfaceError) as error:
                    log.warning("gate.switches_unread", error=type(error).__name__)
                self._good_until = time.monotonic() + SWITCHES_SECONDS
            return self._off


def _pause(retry_after: float | None) -> float:
    """Seconds that a provider is left alone after a 429; 0.0 when there was none."""
    if retry_after is None:
        return 0.0
    wanted = retry_after if retry_after > 0 else PAUSE_SECONDS  # not a number: no time, either
    return min(wanted, float(settings.RETRY_CAP_SECONDS))


def _limited(allowance: Allowance) -> Permit:
    reason = HoldReason.REDIS_AWAY if redis.away() else HoldReason.RATE_LIMIT
    return Permit(allowance.granted, reason.value, allowance.wait, allowance.per_second)
