"""How a simulated vendor behaves: its options, what the sandbox may lay over them, and the answers both amount to."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Self

import msgspec
from msgspec import UNSET, Meta, UnsetType

from notifications.choices import FailureCode
from notifications.providers import magic
from notifications.providers.base import Failure
from notifications.providers.retry_after import retry_after

DAY_SECONDS = 86_400.0
#: A worker has given up on a call long before; anything above is a slip of the keyboard.
MAX_LATENCY_MS = 600_000.0


def _share(title: str, description: str) -> Meta:
    return Meta(title=title, description=description, ge=0, le=1)


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What `settings.SIMULATOR_OPTIONS` may say, with the words the sandbox shows beside each. What the shares of
    taken, temporary, invalid, throttled and timed-out messages leave over is refused for good."""

    seed: Annotated[int, Meta(title="Seed", description="Another seed is another run", ge=-(2**31), le=2**31)] = 1
    outage: Annotated[bool, Meta(title="Outage", description="Every call is answered with 503")] = False
    success_rate: Annotated[float, _share("Taken", "Share of the messages that the provider takes")] = 1.0
    temporary_rate: Annotated[float, _share("Temporary failures", "Share answered with 503")] = 0.0
    invalid_rate: Annotated[
        float, _share("Invalid addresses or tokens", "Share refused because there is no such address")
    ] = 0.0
    throttle_rate: Annotated[float, _share("Throttled", "Share answered with 429")] = 0.0
    timeout_rate: Annotated[float, _share("Time-outs", "Share that is never answered: the outcome is unknown")] = 0.0
    throttle_seconds: Annotated[
        float, Meta(title="Retry-After in seconds", description="Of the 429s", ge=0, le=31 * DAY_SECONDS)
    ] = 2.0
    throttle_retry_after: Annotated[
        str,
        Meta(
            title="Retry-After as sent",
            description="The header's text instead of the seconds: a number, an HTTP date, or anything a vendor"
            " might send by mistake",
            max_length=100,
            pattern="^[ -~]*$",
        ),
    ] = ""
    latency_ms: Annotated[
        float, Meta(title="Latency in ms", description="Median time to answer", ge=0, le=MAX_LATENCY_MS)
    ] = 0.0
    latency_sigma: Annotated[
        float, Meta(title="Latency spread", description="Width of the log-normal distribution; 0: none", ge=0, le=10)
    ] = 0.4
    receipts: Annotated[bool, Meta(title="Reports", description="Tell later what became of the messages taken")] = False
    receipt_delay_ms: Annotated[
        float, Meta(title="Report delay in ms", description="To the first report", ge=0, le=7 * DAY_SECONDS * 1000)
    ] = 1500.0
    bounce_rate: Annotated[float, _share("Bounces", "Share of email and SMS taken that bounces")] = 0.0
    complaint_rate: Annotated[float, _share("Complaints", "Share of email delivered and marked as spam")] = 0.0
    open_rate: Annotated[float, _share("Opens", "Share of delivered email and push that is opened")] = 0.0
    click_rate: Annotated[float, _share("Clicks", "Share of delivered email that is opened and clicked")] = 0.0
    record: Annotated[
        bool, Meta(title="Record live calls", description="Keep what live traffic sends; test calls always are kept")
    ] = False
    journal: str = ""

    def __post_init__(self) -> None:
        for names in exceeded(msgspec.structs.asdict(self)):
            raise ValueError(f"{', '.join(names[:-1])} and {names[-1]} are more than 1 together")


#: The ways in which a call fails, by share. What the sandbox says of one of these is taken from `success_rate`.
FAILURE_RATES = ("temporary_rate", "invalid_rate", "throttle_rate", "timeout_rate")
_BUDGETS = (("success_rate", *FAILURE_RATES), ("bounce_rate", "complaint_rate"))
_FIELDS = {field.name: field for field in msgspec.structs.fields(Options)}
_RATES = tuple(name for name in _FIELDS if name.endswith("_rate"))

#: What may be changed while running: all but the file, which is the operator's to name.
CHANGEABLE = tuple(name for name in _FIELDS if name != "journal")


def option_title(name: str) -> str:
    """What people call an option."""
    return str(option_words(name)["title"])


def option_words(name: str) -> dict[str, Any]:
    """`title` and `description` of an option."""
    (meta,) = (item for item in _FIELDS[name].type.__metadata__ if isinstance(item, Meta))
    return {"title": meta.title, "description": meta.description}


def option_type(name: str) -> msgspec.inspect.Type:
    """The type of an option, with its bounds."""
    kind = msgspec.inspect.type_info(_FIELDS[name].type)
    return kind.type if isinstance(kind, msgspec.inspect.Metadata) else kind


def exceeded(options: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The groups of shares that are more than 1 together."""
    return [names for names in _BUDGETS if sum(options[name] for name in names) > 1 + 1e-9]


def _shape(name: str, about: str, besides: Any = None) -> type[msgspec.Struct]:
    """A struct with every changeable option: all required, or none, where there is a type `besides` theirs."""
    types = {option: _FIELDS[option].type for option in CHANGEABLE}
    fields: list[Any] = list(types.items())
    if besides is not None:
        fields = [(option, type | besides, UNSET) for option, type in types.items()]
    return msgspec.defstruct(
        name, fields, module=__name__, namespace={"__doc__": about}, forbid_unknown_fields=True, kw_only=True
    )


#: All of them, as they are.
SimulatorOptions = _shape("SimulatorOptions", "How a simulated provider behaves.")
#: Some of them, to stand above the settings.
SandboxOptions = _shape(
    "SandboxOptions", "What is laid over the settings. What is left out is as the settings say.", UnsetType
)
#: Changes to those; null takes an option back to the settings.
SandboxChanges = _shape(
    "SandboxChanges", "What to change. What is left out stays; null goes back to the settings.", None | UnsetType
)


def laid_over(base: Options, overrides: Mapping[str, object]) -> Options:
    """The settings with the sandbox's word on top. Shares that it does not name give way to those it names; where it
    names failures alone, all the rest is taken. Raises msgspec.ValidationError."""
    given = msgspec.to_builtins(msgspec.convert(dict(overrides), SandboxOptions))
    options = {**msgspec.structs.asdict(base), **given}
    for names in (FAILURE_RATES, *_BUDGETS[1:]) if "success_rate" not in given else _BUDGETS:
        _make_room(options, names, given)
    if "success_rate" not in given and not given.keys().isdisjoint(FAILURE_RATES):
        options["success_rate"] = max(0.0, 1.0 - sum(options[name] for name in FAILURE_RATES))
    return msgspec.convert(options, Options)


def _make_room(options: dict[str, Any], names: Sequence[str], given: Mapping[str, Any]) -> None:
    """Cut the shares that nobody asked for, in proportion, to what the others leave."""
    left = max(0.0, 1.0 - sum(options[name] for name in names if name in given))
    others = [name for name in names if name not in given]
    if (total := sum(options[name] for name in others)) > left:
        options.update({name: options[name] * left / total for name in others})


def for_tests(base: Options) -> Options:
    """The settings as test traffic meets them: every message is taken and delivered."""
    return msgspec.structs.replace(base, **{name: _FIELDS[name].default for name in _RATES})


@dataclass(frozen=True, slots=True)
class Terms:
    """Options, and the answers they amount to: upper limits of a uniform draw and the answer below each; empty when
    every message is taken."""

    options: Options
    answers: tuple[tuple[float, Failure | None], ...]

    @property
    def takes_all(self) -> bool:
        """Whether every message is taken, unless its recipient is magic."""
        return not self.answers and not self.options.outage

    @classmethod
    def of(cls, options: Options) -> Self:
        if options.success_rate >= 1:
            return cls(options, ())
        limit = options.success_rate
        answers: list[tuple[float, Failure | None]] = [(limit, None)]
        for rate, failure in (
            (options.temporary_rate, magic.UNAVAILABLE),
            (options.invalid_rate, magic.INVALID),
            (options.throttle_rate, magic.throttled(options.throttle_seconds)),
            (options.timeout_rate, magic.TIMED_OUT),
        ):
            limit += rate
            answers.append((limit, failure))
        return cls(options, tuple(answers))

    def answer(self, draw: float, now: datetime) -> Failure | None:
        """What the vendor says to a message that drew this number; None when it takes it."""
        for limit, failure in self.answers:
            if draw < limit:
                return self._with_header(failure, now)
        return magic.REJECTED

    def _with_header(self, failure: Failure | None, now: datetime) -> Failure | None:
        header = self.options.throttle_retry_after
        if failure is None or failure.code != FailureCode.THROTTLED or not header:
            return failure
        return magic.throttled(retry_after(header, now), header)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Terms for live traffic, and for test traffic: that is exempt from the shares of the settings, and not from what
    was set in the sandbox. `key` is the seed, for the draws of both."""

    key: bytes
    live: Terms
    test: Terms

    @classmethod
    def of(cls, base: Options, overrides: Mapping[str, object]) -> Self:
        """Raises msgspec.ValidationError."""
        live, test = laid_over(base, overrides), laid_over(for_tests(base), overrides)
        return cls(struct.pack("<q", live.seed), Terms.of(live), Terms.of(test))

    def of_message(self, *, is_test: bool) -> Terms:
        return self.test if is_test else self.live
