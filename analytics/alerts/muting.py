"""Who need not be told: alerts that another one explains, and alerts that somebody silenced. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Scope:
    """What an alert or a silence is about; empty is everything."""

    channel: str = ""
    provider: str = ""

    def touches(self, other: "Scope") -> bool:
        """Whether the two can be about the same thing: where both name a channel or a provider, it is the same one."""
        return all(
            not mine or not theirs or mine == theirs
            for mine, theirs in ((self.channel, other.channel), (self.provider, other.provider))
        )

    def holds(self, other: "Scope") -> bool:
        """Whether everything of `other` lies within this one."""
        return self.channel in {"", other.channel} and self.provider in {"", other.provider}


@dataclass(frozen=True, slots=True)
class Cause:
    """An alert that fires, or fired until `until`."""

    alert_id: int
    rule_id: int
    scope: Scope
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Quiet:
    """A silence in force. `rule_id` None is every rule."""

    silence_id: int
    rule_id: int | None
    scope: Scope


def cause_of(
    scope: Scope, explained_by: Iterable[int], causes: Sequence[Cause], *, now: datetime, memory: timedelta
) -> int | None:
    """The alert that explains one of this scope, by the rules that may: the one that fires, or else one that has
    stopped within `memory`. A symptom that looks back over an hour still sees its cause an hour after it is gone."""
    rules = set(explained_by)
    fitting = [cause for cause in causes if cause.rule_id in rules and cause.scope.touches(scope)]
    fitting.sort(key=lambda cause: (cause.until is not None, cause.alert_id))
    for cause in fitting:
        if cause.until is None or now - cause.until <= memory:
            return cause.alert_id
    return None


def silence_of(rule_id: int, scope: Scope, silences: Iterable[Quiet]) -> int | None:
    """The silence an alert falls under."""
    for silence in silences:
        if silence.rule_id in {None, rule_id} and silence.scope.holds(scope):
            return silence.silence_id
    return None


def makes_a_circle(rule_id: int, explained_by: Iterable[int], edges: Mapping[int, Iterable[int]]) -> bool:
    """Whether a rule would, over other rules, explain itself: then nobody would be told of any of them."""
    seen: set[int] = set()
    waiting = list(explained_by)
    while waiting:
        one = waiting.pop()
        if one == rule_id:
            return True
        if one not in seen:
            seen.add(one)
            waiting += edges.get(one, ())
    return False
