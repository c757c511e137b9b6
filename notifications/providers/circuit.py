"""What is known of one provider, and what follows from it. Pure: values in, values out, `now` in seconds of any clock.
One that is set back holds nobody longer than it could by itself: what lies further ahead than it can be, is over.

    closed  --(enough of the window's messages failed or were slow)-->  open
    open    --(its time is over)-->  half-open: one probe may ask, everybody else waits
    half-open  --(the probe was answered in time)-->  closed, the old counts forgotten
    half-open  --(the probe failed, was slow or was never heard of)-->  open, twice as long

circuit.lua does the same to the state that all workers share; a test holds the two against each other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from django.conf import settings

from notifications.choices import HoldReason

#: Parts of the rolling window: the oldest twentieth drops out at a time.
SLOTS = 20
#: While a probe is under way, everybody else looks again after this: most answers come within a second.
PROBE_LOOK_SECONDS = 1.0
#: Beyond the longest provider call: a probe not heard of by then died with its worker.
PROBE_MARGIN_SECONDS = 5.0
#: Share of the time an open circuit may be spared, so that circuits which opened together do not probe together.
JITTER = 0.1

FAILING, SLOW = "failing", "slow"
PROBE_FAILED, PROBE_SLOW, PROBE_LOST = "probe_failed", "probe_slow", "probe_lost"


@dataclass(frozen=True, slots=True)
class Rules:
    """When a circuit opens, and for how long. Times in seconds, rates as shares of 1, counts in messages."""

    window: float
    min_calls: int
    failure_rate: float
    slow_rate: float
    slow_seconds: float
    open_seconds: float
    open_max: float
    probe_seconds: float
    pause_max: float

    @classmethod
    def of_settings(cls) -> "Rules":
        return cls(
            window=settings.BREAKER_WINDOW_SECONDS,
            min_calls=settings.BREAKER_MIN_CALLS,
            failure_rate=settings.BREAKER_FAILURE_RATE,
            slow_rate=settings.BREAKER_SLOW_RATE,
            slow_seconds=settings.BREAKER_SLOW_SECONDS,
            open_seconds=settings.BREAKER_OPEN_SECONDS,
            open_max=settings.BREAKER_OPEN_MAX_SECONDS,
            probe_seconds=settings.PROVIDER_TIMEOUT_SECONDS + PROBE_MARGIN_SECONDS,
            pause_max=settings.RETRY_CAP_SECONDS,
        )


class Tally(NamedTuple):
    """Messages of a stretch of time: handed over, failed, and in calls that took too long."""

    calls: int = 0
    failed: int = 0
    slow: int = 0


class Answer(NamedTuple):
    """May the provider be asked? Yes when `reason` (a HoldReason) is empty; with `probe` set for one message alone.
    `wait`: seconds until it is worth asking again."""

    reason: str = ""
    wait: float = 0.0
    probe: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """How a call went, in messages: `answered` (taken or refused for good) and `failed`; neither when it was not made.
    `seconds` it took; `pause`: seconds that a 429 asked for, of which `pause_max` are obeyed; `probe`: the token of the
    permit."""

    answered: int = 0
    failed: int = 0
    seconds: float = 0.0
    pause: float = 0.0
    probe: str = ""

    @property
    def calls(self) -> int:
        return self.answered + self.failed


@dataclass(frozen=True, slots=True)
class Circuit:
    """One provider's circuit and pause. A fresh one is closed."""

    is_open: bool = False
    #: While open: nobody asks before; afterwards one probe may.
    until: float = 0.0
    #: Openings in a row, and the random share in [0, 1) by which the last was shortened.
    streak: int = 0
    spread: float = 0.0
    #: Calls begun before do not count: they tell of the time before it closed.
    since: float = 0.0
    probe: str = ""
    probe_until: float = 0.0
    paused_until: float = 0.0
    #: Why it is open, since when, and how many of how many messages had opened it.
    why: str = ""
    bad: int = 0
    of: int = 0
    opened_at: float = 0.0
    #: Counts by the window's slots, `int(time / (window / SLOTS))`.
    tallies: Mapping[int, Tally] = field(default_factory=dict)


def ask(circuit: Circuit, now: float, rules: Rules, token: str) -> tuple[Circuit, Answer]:
    """The circuit after somebody asked, and the answer. `token` names the probe if this is to be one."""
    circuit = settle(circuit, now, rules)
    wait = wait_of(circuit, now)
    if wait > 0:
        reason = HoldReason.THROTTLED if circuit.paused_until > now else HoldReason.CIRCUIT_OPEN
        return circuit, Answer(reason.value, wait)
    if not circuit.is_open:
        return circuit, Answer()
    return replace(circuit, probe=token, probe_until=now + rules.probe_seconds), Answer(probe=token)


def report(circuit: Circuit, now: float, rules: Rules, said: Report, spread: float) -> Circuit:
    """The circuit after a call. What a late call tells of the time before it opened or closed is not counted; what a
    probe tells counts only while it is the probe. `spread` in [0, 1) is the jitter of an opening."""
    circuit = settle(circuit, now, rules)
    if said.pause > 0:
        circuit = replace(circuit, paused_until=max(circuit.paused_until, now + min(said.pause, rules.pause_max)))
    if said.probe:
        return _probed(circuit, now, rules, said, spread) if said.probe == circuit.probe else circuit
    if circuit.is_open or not said.calls or now - said.seconds < circuit.since:
        return circuit
    circuit = _counted(circuit, now, rules, said)
    total = window(circuit, now, rules)
    if total.calls < rules.min_calls:
        return circuit
    if total.failed >= rules.failure_rate * total.calls:
        return replace(_opened(circuit, now, rules, FAILING, spread), bad=total.failed, of=total.calls)
    if total.slow >= rules.slow_rate * total.calls:
        return replace(_opened(circuit, now, rules, SLOW, spread), bad=total.slow, of=total.calls)
    return circuit


def settle(circuit: Circuit, now: float, rules: Rules) -> Circuit:
    """What time alone has done: a probe that was never heard of has opened the circuit again, at its end. And what a
    clock that was set back has undone: see `_without_future`."""
    circuit = _without_future(circuit, now, rules)
    if circuit.probe and now >= circuit.probe_until:
        return _opened(circuit, circuit.probe_until, rules, PROBE_LOST, circuit.spread)
    return circuit


def wait_of(circuit: Circuit, now: float) -> float:
    """Seconds until it is worth asking; 0.0 when anybody, or the next probe, may ask now. Of a settled circuit."""
    wait = max(0.0, circuit.paused_until - now)
    if not circuit.is_open:
        return wait
    if now < circuit.until:
        return max(wait, circuit.until - now)
    if circuit.probe:
        return max(wait, min(PROBE_LOOK_SECONDS, circuit.probe_until - now))
    return wait


def window(circuit: Circuit, now: float, rules: Rules) -> Tally:
    """The rolling window's counts."""
    slot = _slot(now, rules)
    parts = [tally for at, tally in circuit.tallies.items() if slot - SLOTS < at <= slot]
    return Tally(*map(sum, zip(*parts, strict=True))) if parts else Tally()


def _without_future(circuit: Circuit, now: float, rules: Rules) -> Circuit:
    """Without what lies further ahead than it can be: it was set before the clock was set back. Over, and not cut to
    the longest it can be: who only looks keeps nothing, and would find it as far ahead the next time. A probe is given
    up without a verdict, as nobody knows how long it has been under way. Slots ahead are in no window anyway."""
    if circuit.until > now + rules.open_max:
        circuit = replace(circuit, until=0.0)
    if circuit.probe_until > now + rules.probe_seconds:
        circuit = replace(circuit, probe="", probe_until=0.0)
    if circuit.paused_until > now + rules.pause_max:
        circuit = replace(circuit, paused_until=0.0)
    if circuit.since > now:
        circuit = replace(circuit, since=0.0)
    return circuit


def _probed(circuit: Circuit, now: float, rules: Rules, said: Report, spread: float) -> Circuit:
    if not said.calls:  # not made, or answered with a 429: the next one may try
        return replace(circuit, probe="", probe_until=0.0)
    if said.failed:
        return _opened(circuit, now, rules, PROBE_FAILED, spread)
    if said.seconds > rules.slow_seconds:
        return _opened(circuit, now, rules, PROBE_SLOW, spread)
    return Circuit(since=now, paused_until=circuit.paused_until)


def _counted(circuit: Circuit, now: float, rules: Rules, said: Report) -> Circuit:
    slot = _slot(now, rules)
    kept = {at: tally for at, tally in circuit.tallies.items() if slot - SLOTS < at <= slot}
    before = kept.get(slot, Tally())
    slow = said.calls if said.seconds > rules.slow_seconds else 0
    kept[slot] = Tally(before.calls + said.calls, before.failed + said.failed, before.slow + slow)
    return replace(circuit, tallies=kept)


def _opened(circuit: Circuit, at: float, rules: Rules, why: str, spread: float) -> Circuit:
    longest = min(rules.open_max, rules.open_seconds * 2.0 ** min(circuit.streak, 32))
    return replace(
        circuit,
        is_open=True,
        until=at + longest * (1 - JITTER * spread),
        streak=circuit.streak + 1,
        spread=spread,
        probe="",
        probe_until=0.0,
        why=why,
        opened_at=circuit.opened_at if circuit.is_open else at,
    )


def _slot(now: float, rules: Rules) -> int:
    return int(now / (rules.window / SLOTS))
