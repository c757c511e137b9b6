"""The plan that a notification carries, and when its steps are due. Pure."""

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache

import msgspec

from notifications.choices import Strategy
from preferences.services import CategoryInfo
from preferences.strategies import Asked, Step, as_json

_FIRST, _ESCALATE = Strategy.FIRST.value, Strategy.ESCALATE.value


class Plan(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """`first` or `escalate`, and the channels in their order. `wait`: the seconds that `first` gives each of them."""

    strategy: str
    steps: tuple[Step, ...]
    wait: int = 0

    @property
    def is_first(self) -> bool:
        return self.strategy == _FIRST

    def position(self, channel: str) -> int:
        """Of a channel's step; 0 for a channel that has none, which goes out at once."""
        return next((n for n, step in enumerate(self.steps) if step.channel == channel), 0)


#: The channels of a message in their order, and its plan.
Chosen = tuple[tuple[str, ...], Plan | None]

#: As it is stored.
encode = msgspec.json.encode
_decoder = msgspec.json.Decoder(Plan)


@lru_cache(maxsize=1024)
def decode(raw: str) -> Plan:
    """Plans are few: those of the categories, and what senders thought of."""
    return _decoder.decode(raw.encode())


def of_json(value: object) -> Plan | None:
    """From a notification's row as the ORM reads it."""
    return None if value is None else msgspec.convert(value, Plan)


def as_asked(plan: Plan) -> Mapping[str, object]:
    """The plan as a sender would ask for it; see `preferences.strategies.asked`."""
    return {_FIRST: plan.wait} if plan.is_first else {_ESCALATE: as_json(plan.steps)}


def choose(
    asked: Asked | None, category: CategoryInfo, channels: Sequence[str] | None, available: Collection[str]
) -> Chosen:
    """The channels of a message in their order, and its plan; None where all of them go out at once.

    `asked` None means the category's strategy; `channels` are those the sender named, `available` those there is
    content for. Steps of channels that are not used are left out, and what comes first then is due at once. A channel
    that the sender named and that has no step goes with the last one.
    """
    wanted = tuple(str(channel) for channel in (channels or category.channels) if channel in available)
    strategy = asked.strategy if asked is not None else category.strategy
    if strategy == _FIRST:
        wait = category.fallback_seconds if asked is None or asked.wait is None else asked.wait
        return _plan(_FIRST, tuple(Step(channel) for channel in wanted), wait, wanted)
    if strategy == _ESCALATE:
        if asked is not None and asked.steps is not None:
            steps = tuple(step for step in asked.steps if step.channel in available)
        else:
            steps = tuple(step for step in category.escalation if step.channel in wanted)
            if channels and steps:
                steps += tuple(
                    Step(channel, steps[-1].after, steps[-1].unless)
                    for channel in wanted
                    if all(step.channel != channel for step in steps)
                )
        return _plan(_ESCALATE, steps, 0, wanted)
    return wanted, None


def _plan(
    strategy: str, steps: tuple[Step, ...], wait: int, wanted: tuple[str, ...]
) -> tuple[tuple[str, ...], Plan | None]:
    if not steps:  # an escalation that has none of the channels in question
        return wanted, None
    channels = tuple(step.channel for step in steps)
    if len(steps) == 1:
        return channels, None
    return channels, Plan(strategy, (Step(steps[0].channel), *steps[1:]), wait)


@lru_cache(maxsize=1024)
def delays(plan: Plan, usable: tuple[str, ...]) -> Mapping[str, int]:
    """Seconds from the start until each usable channel is due; the first of them at once."""
    steps = [step for step in plan.steps if step.channel in usable]
    if plan.is_first:
        return {step.channel: n * plan.wait for n, step in enumerate(steps)}
    return {step.channel: step.after if n else 0 for n, step in enumerate(steps)}
