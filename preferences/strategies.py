"""In which order the channels of one message are tried: the words, the steps, and what is wrong with either. Pure.

`all` sends by every channel at once. `first` tries them one after the other until one has delivered. `escalate` tells
the person again, by the next channel, only if they have not seen or not read it by then.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from preferences.choices import Channel, Strategy, Unless

#: Seconds: a week. Whoever was not reached by then is not reached by one channel more.
MAX_AFTER = 7 * 24 * 3600
#: Seconds that `first` gives a channel to deliver before it tries the next.
DEFAULT_WAIT = 300
#: Shorter, and the next channel goes out before a provider could have reported anything.
MIN_WAIT = 5
_CHANNELS = {channel.value: str(channel.label) for channel in Channel}
_FIELDS = frozenset({"channel", "after", "unless"})


class Step(msgspec.Struct, frozen=True, gc=False):
    """One channel of an escalation: due `after` seconds from the start, unless what `unless` names has come to pass by
    then. The first is due at once and on no condition."""

    channel: str
    after: int = 0
    unless: str = ""


#: What an escalation without steps of its own does.
DEFAULT_STEPS = (
    Step(Channel.IN_APP.value),
    Step(Channel.PUSH.value, 600, Unless.SEEN.value),
    Step(Channel.EMAIL.value, 3600, Unless.READ.value),
)


class Fault(NamedTuple):
    """What is wrong, and where: `path` is "" for the whole, else as "/1/after"."""

    path: str
    code: str
    message: str


class Refused(ValueError):
    """Steps or a strategy that cannot be taken."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__(self.faults[0].message)


class Asked(msgspec.Struct, frozen=True, gc=False):
    """A strategy as somebody asked for it. `steps` and `wait` are None where the category's are meant."""

    strategy: str
    steps: tuple[Step, ...] | None = None
    wait: int | None = None


_PLAIN = {strategy.value: Asked(strategy.value) for strategy in Strategy}


def asked(value: object) -> Asked:
    """A strategy by its name, `{"first": seconds}` or `{"escalate": [steps]}`. Raises Refused."""
    if isinstance(value, str) and (plain := _PLAIN.get(value)) is not None:
        return plain
    if isinstance(value, Mapping) and len(value) == 1:
        if "escalate" in value:
            return Asked(Strategy.ESCALATE.value, steps=_under("/escalate", value["escalate"]))
        if "first" in value:
            return Asked(Strategy.FIRST.value, wait=_wait(value["first"]))
    message = 'A strategy is "all", "first", "escalate", {"first": seconds} or {"escalate": [steps]}.'
    raise Refused([Fault("", "invalid", message)])


def _under(path: str, value: object) -> tuple[Step, ...]:
    try:
        return steps(value)
    except Refused as refused:
        raise Refused([Fault(path + one.path, one.code, one.message) for one in refused.faults]) from None


def _wait(value: object) -> int:
    if isinstance(value, int) and _is_whole(value) and MIN_WAIT <= value <= MAX_AFTER:
        return value
    message = f"Seconds to wait for a channel: a whole number from {MIN_WAIT} to {MAX_AFTER}."
    raise Refused([Fault("/first", "invalid", message)])


def steps(value: object) -> tuple[Step, ...]:
    """The steps of an escalation, from JSON: `[{"channel": "in_app"}, {"channel": "push", "after": 600, "unless":
    "seen"}]`. Raises Refused with everything that is wrong with them."""
    if not isinstance(value, list | tuple) or not 2 <= len(value) <= len(_CHANNELS):
        raise Refused([Fault("", "invalid", f"An escalation has two to {len(_CHANNELS)} steps, each a channel.")])
    found: list[Step] = []
    faults: list[Fault] = []
    for position, one in enumerate(value):
        path = f"/{position}"
        raw = msgspec.structs.asdict(one) if isinstance(one, Step) else one
        if not isinstance(raw, Mapping) or not _FIELDS.issuperset(raw):
            message = 'A step is an object of "channel", "after" and "unless".'
            faults.append(Fault(path, "invalid", message))
            continue
        step = Step(raw.get("channel", ""), raw.get("after", 0), raw.get("unless") or "")
        wrong = _step_faults(step, position, found)
        faults += [Fault(path + fault.path, fault.code, fault.message) for fault in wrong]
        if not wrong:
            found.append(step if position == 0 or step.unless else Step(step.channel, step.after, Unless.READ.value))
    if faults:
        raise Refused(faults)
    return tuple(found)


def escalation_of(stored: object) -> tuple[Step, ...]:
    """A category's steps. Without any, or written past the checks and wrong: the default ones, so that its messages
    still go out."""
    if not stored:
        return DEFAULT_STEPS
    try:
        return steps(stored)
    except Refused:
        return DEFAULT_STEPS


def _step_faults(step: Step, position: int, before: Sequence[Step]) -> list[Fault]:
    faults = []
    if not isinstance(step.channel, str) or step.channel not in _CHANNELS:
        faults.append(Fault("/channel", "invalid", f"A channel is one of {', '.join(_CHANNELS)}."))
    elif any(step.channel == one.channel for one in before):
        faults.append(Fault("/channel", "repeated", f"{_CHANNELS[step.channel]} has a step already."))
    if not _is_whole(step.after) or not 0 <= step.after <= MAX_AFTER:
        faults.append(Fault("/after", "invalid", f"Seconds from the start: a whole number, at most {MAX_AFTER}."))
    elif position == 0 and step.after:
        faults.append(Fault("/after", "invalid", "The first step goes out at once; leave its wait out."))
    elif position and before and step.after <= before[-1].after:
        faults.append(Fault("/after", "order", "Each step comes later than the one before."))
    if step.unless and (not isinstance(step.unless, str) or step.unless not in Unless.values):
        faults.append(Fault("/unless", "invalid", f"A condition is one of {', '.join(Unless.values)}."))
    elif position == 0 and step.unless:
        faults.append(Fault("/unless", "invalid", "The first step has no condition."))
    return faults


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def as_json(found: Sequence[Step]) -> list[dict[str, Any]]:
    """Steps as they are stored and answered."""
    return [
        {"channel": one.channel, **({"after": one.after, "unless": one.unless} if position else {})}
        for position, one in enumerate(found)
    ]
