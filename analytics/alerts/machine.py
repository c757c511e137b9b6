"""An alert's life as a pure function: nothing -> pending -> firing -> resolved.

It opens when the value was bad at every look for `wait`, and clears when it was good at every look for `clear`. Good is
not the opposite of bad: between the two lies a band in which an alert neither opens nor clears, so that a value that
hovers about its threshold does not make it flap.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum

from analytics.alerts.choices import Condition, Phase

#: Looks further apart than this say nothing of the time between them: waiting and clearing begin anew. Six looks of
#: ten seconds, as the rhythm is.
BLIND = timedelta(seconds=60)


class Reading(Enum):
    """What one look at a value says."""

    BAD = "bad"
    BETWEEN = "between"
    GOOD = "good"
    #: Too little happened for the value to say anything; nothing is wrong as far as one can tell.
    QUIET = "quiet"
    #: The value could not be read: nothing is concluded from that.
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Bounds:
    """When a value is bad, and when good again. `clear_at` is on the good side of `bad_at`, or the same."""

    condition: Condition
    bad_at: float
    clear_at: float

    def read(self, value: float | None) -> Reading:
        if value is None:
            return Reading.UNKNOWN
        if self.condition == Condition.BELOW:
            if value < self.bad_at:
                return Reading.BAD
            return Reading.GOOD if value >= self.clear_at else Reading.BETWEEN
        if value >= self.bad_at:
            return Reading.BAD
        return Reading.GOOD if value <= self.clear_at else Reading.BETWEEN


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a value must be bad to open an alert, and good to clear it."""

    wait: timedelta
    clear: timedelta


@dataclass(frozen=True, slots=True)
class State:
    """An alert that is pending or firing. `since`: bad from then on; `good_since`: good again from then on."""

    phase: Phase
    since: datetime
    seen_at: datetime
    good_since: datetime | None = None


class Move(Enum):
    """What a look changed, beyond the state's times."""

    BEGAN = "began"
    WITHDREW = "withdrew"
    OPENED = "opened"
    RESOLVED = "resolved"


def step(state: State | None, reading: Reading, now: datetime, pace: Pace) -> tuple[State | None, Move | None]:
    """The state after a look at `now`; None is no alert. A look from before the last one changes nothing."""
    if state is None:
        return _begin(reading, now, pace)
    if now < state.seen_at:
        return state, None
    is_blind = now - state.seen_at > BLIND
    if state.phase == Phase.PENDING:
        return _pending(state, reading, now, pace, is_blind)
    return _firing(state, reading, now, pace, is_blind)


def _begin(reading: Reading, now: datetime, pace: Pace) -> tuple[State | None, Move | None]:
    if reading is not Reading.BAD:
        return None, None
    if not pace.wait:
        return State(Phase.FIRING, now, now), Move.OPENED
    return State(Phase.PENDING, now, now), Move.BEGAN


def _pending(
    state: State, reading: Reading, now: datetime, pace: Pace, is_blind: bool
) -> tuple[State | None, Move | None]:
    if reading is Reading.UNKNOWN:
        return state, None  # not seen, so not `seen_at` either: too long of it, and the wait begins anew
    if reading is not Reading.BAD:
        return None, Move.WITHDREW
    if is_blind:
        return _begin(reading, now, pace)
    if now - state.since >= pace.wait:
        return State(Phase.FIRING, state.since, now), Move.OPENED
    return replace(state, seen_at=now), None


def _firing(
    state: State, reading: Reading, now: datetime, pace: Pace, is_blind: bool
) -> tuple[State | None, Move | None]:
    if reading not in {Reading.GOOD, Reading.QUIET}:
        return replace(state, seen_at=now, good_since=None), None
    since = now if state.good_since is None or is_blind else state.good_since
    if now - since >= pace.clear:
        return None, Move.RESOLVED
    return replace(state, seen_at=now, good_since=since), None
