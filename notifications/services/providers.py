"""What operators see and do of providers: every channel's chain with its circuits, switching off and on, resetting."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import structlog
from django.conf import settings
from django.db.models import TextChoices

from core import redis
from notifications.choices import Channel
from notifications.errors import CarillonError
from notifications.models import ProviderSwitch
from notifications.providers import circuit as pure
from notifications.providers.breaker import Breaker
from notifications.providers.circuit import Circuit, Rules, Tally

log = structlog.get_logger(__name__)

MAX_REASON = 200
MAX_BY = 150


class UnknownProvider(CarillonError):
    """No provider of this name is in PROVIDERS."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no provider {name!r}. Known: {', '.join(sorted(settings.PROVIDERS))}.")


class State(TextChoices):
    """Where a provider stands, by the first gate that says no."""

    CLOSED = "closed", "Working"
    HALF_OPEN = "half_open", "Half-open"
    OPEN = "open", "Circuit open"
    PAUSED = "paused", "Paused"
    SWITCHED_OFF = "switched_off", "Switched off"
    UNKNOWN = "unknown", "Unknown"


class Switch(NamedTuple):
    """Who switched a provider off, when and why."""

    by: str
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Standing:
    """One provider. `tally` counts the messages of the last window; `open_for` and `paused_for` are the seconds left,
    0.0 when there are none. Without Redis `circuit` is None and the figures are empty."""

    name: str
    state: State
    switch: Switch | None = None
    circuit: Circuit | None = None
    tally: Tally = field(default_factory=Tally)
    open_for: float = 0.0
    paused_for: float = 0.0

    @property
    def failure_rate(self) -> float | None:
        """Share of the window's messages that failed; None when there were none."""
        return self.tally.failed / self.tally.calls if self.tally.calls else None

    @property
    def slow_rate(self) -> float | None:
        return self.tally.slow / self.tally.calls if self.tally.calls else None

    @property
    def is_probed(self) -> bool:
        """Whether a probe is under way."""
        return self.circuit is not None and bool(self.circuit.probe)

    @property
    def has_history(self) -> bool:
        """Whether a reset would change anything for the better."""
        return self.open_for > 0 or self.paused_for > 0 or (self.circuit is not None and self.circuit.is_open)


class Chain(NamedTuple):
    """A channel's providers in the order they are asked."""

    channel: Channel
    providers: list[Standing]

    @property
    def serving(self) -> Standing | None:
        """The first that takes everything it is offered. None when every message waits, or for a probe's answer, and
        when Redis cannot tell."""
        return next((one for one in self.providers if one.state == State.CLOSED), None)


@dataclass(frozen=True, slots=True)
class Overview:
    """All channels. `others` are switched off but in no chain. `redis_away`: circuits cannot be told."""

    chains: list[Chain]
    others: list[Standing]
    redis_away: bool


def switch_off(provider: str, *, by: str, reason: str = "") -> bool:
    """Take a provider out of its chains, for every worker within a second. False when it was off already. Raises
    UnknownProvider."""
    if provider not in settings.PROVIDERS:
        raise UnknownProvider(provider)
    given = {"by": by[:MAX_BY], "reason": reason[:MAX_REASON]}
    _, is_new = ProviderSwitch.objects.get_or_create(provider=provider, defaults=given)
    if is_new:
        log.warning("provider.switched_off", provider=provider, by=by)
    return is_new


def switch_on(provider: str, *, by: str) -> bool:
    """Put it back. False when it was on already. Its circuit is as it was: a provider that is still down is found out
    again. Raises UnknownProvider, unless it was switched off before it left PROVIDERS."""
    deleted, _ = ProviderSwitch.objects.filter(provider=provider).delete()
    if not deleted and provider not in settings.PROVIDERS:
        raise UnknownProvider(provider)
    if deleted:
        log.warning("provider.switched_on", provider=provider, by=by)
    return bool(deleted)


def reset(provider: str, *, by: str) -> None:
    """Close its circuit and end its pause. Raises UnknownProvider, and RedisError when nothing could be reset."""
    if provider not in settings.PROVIDERS:
        raise UnknownProvider(provider)
    Breaker().reset(provider)
    log.warning("provider.reset", provider=provider, by=by)


def overview() -> Overview:
    """How all providers stand, by one query and one round trip to Redis."""
    switches = {row.provider: Switch(row.by, row.at, row.reason) for row in ProviderSwitch.objects.order_by("provider")}
    chained = list(dict.fromkeys(name for chain in settings.PROVIDER_CHAINS.values() for name in chain))
    others = [name for name in switches if name not in chained]
    try:
        now, circuits = Breaker().read([*chained, *others])
    except redis.RedisError:
        now, circuits = 0.0, {}
    standing = {name: _standing(name, now, circuits, switches.get(name)) for name in [*chained, *others]}
    return Overview(
        chains=[
            Chain(Channel(channel), [standing[name] for name in names])
            for channel, names in settings.PROVIDER_CHAINS.items()
        ],
        others=[standing[name] for name in others],
        redis_away=not circuits and bool(chained or others),
    )


def _standing(name: str, now: float, circuits: Mapping[str, Circuit], switch: Switch | None) -> Standing:
    circuit = circuits.get(name)
    if circuit is None:
        return Standing(name, State.SWITCHED_OFF if switch else State.UNKNOWN, switch)
    open_for = max(0.0, circuit.until - now) if circuit.is_open else 0.0
    paused_for = max(0.0, circuit.paused_until - now)
    return Standing(
        name,
        _state(circuit, switch, open_for, paused_for),
        switch,
        circuit,
        pure.window(circuit, now, Rules.of_settings()),
        open_for,
        paused_for,
    )


def _state(circuit: Circuit, switch: Switch | None, open_for: float, paused_for: float) -> State:
    if switch:
        return State.SWITCHED_OFF
    if paused_for:
        return State.PAUSED
    if open_for:
        return State.OPEN
    return State.HALF_OPEN if circuit.is_open else State.CLOSED
