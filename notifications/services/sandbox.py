"""The sandbox: simulated providers as they behave now, changed while they run, and the calls they received."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils.module_loading import import_string

from core import standard_webhooks
from core.ids import uuid7
from notifications import registry
from notifications.choices import Channel
from notifications.models import SandboxState, SimulatedCall
from notifications.providers.simulated import SimulatedProvider
from notifications.providers.simulated_options import (
    CHANGEABLE,
    Behaviour,
    Options,
    SandboxOptions,
    exceeded,
    laid_over,
    option_title,
)
from notifications.providers.simulated_state import states
from notifications.receivers import simulated
from notifications.services import webhooks
from preferences.keywords import Keyword, meaning_of
from preferences.models import Recipient


class UnknownProvider(LookupError):
    """No simulated provider of that name is configured."""


class InvalidOptions(ValueError):
    """Options that make no sense: `errors` by option, "" for one that is about all."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__("; ".join(errors.values()))
        self.errors = dict(errors)


@dataclass(frozen=True, slots=True)
class Preset:
    """Weather with a name. Its options replace all others of the sandbox."""

    slug: str
    title: str
    meaning: str
    options: Mapping[str, object]


_CALM = {
    "outage": False, "success_rate": 1.0, "temporary_rate": 0.0, "invalid_rate": 0.0, "throttle_rate": 0.0,
    "timeout_rate": 0.0, "bounce_rate": 0.0, "complaint_rate": 0.0,
}  # fmt: skip
PRESETS = (
    Preset("calm", "Calm", "Every message is taken and delivered", _CALM),
    Preset("outage", "Outage", "Every call is answered with 503", {"outage": True}),
    Preset("slow", "Slow, 30 s", "Every answer takes half a minute", {"latency_ms": 30_000.0, "latency_sigma": 0.0}),
    Preset("temporary", "10% temporary failures", "One call in ten is answered with 503", {"temporary_rate": 0.1}),
    Preset(
        "throttle",
        "429, Retry-After 30 s",
        "Every call is answered with 429 and told to come back in 30 seconds",
        {"throttle_rate": 1.0, "throttle_retry_after": "30"},
    ),
    Preset("invalid", "Invalid tokens", "Every address is refused: there is no such address", {"invalid_rate": 1.0}),
    Preset("timeouts", "Time-outs", "No call is answered: the outcome is unknown", {"timeout_rate": 1.0}),
)


@dataclass(frozen=True, slots=True)
class Simulated:
    """One simulated provider. `options` is how it treats live traffic now and `for_tests` test traffic, `overridden`
    what of it the sandbox said; `live` and `tests` are the channels on which it serves live traffic and test keys."""

    name: str
    options: Options
    for_tests: Options
    overridden: Mapping[str, Any]
    by: str
    at: datetime | None
    live: tuple[str, ...]
    tests: tuple[str, ...]

    @property
    def channels(self) -> tuple[str, ...]:
        return tuple(channel for channel in Channel.values if channel in {*self.live, *self.tests})


class NoReply(ValueError):
    """This call cannot be answered; the text says why."""


class SandboxService:
    """Reads and changes the sandbox. A change reaches every worker within about a second."""

    def all(self) -> list[Simulated]:
        """Every simulated provider of the settings, by channel and place in its chain."""
        rows = SandboxState.objects.in_bulk()
        found = [_simulated(name, base, rows.get(name)) for name, base in _configured().items()]
        return sorted(found, key=_place)

    def get(self, name: str) -> Simulated:
        """Raises UnknownProvider."""
        return _simulated(name, _base(name), SandboxState.objects.filter(pk=name).first())

    def replace(self, name: str, options: Mapping[str, object], *, by: str) -> Simulated:
        """Lay these options, and no others, over the settings. Raises UnknownProvider, InvalidOptions."""
        base = _base(name)
        checked = _checked(base, options)
        if not checked:
            return self.reset(name)
        defaults = {"options": checked, "by": by[:150], "at": Now()}
        SandboxState.objects.update_or_create(provider=name, defaults=defaults)
        _tell()
        return self.get(name)

    @transaction.atomic
    def change(self, name: str, options: Mapping[str, object], *, by: str) -> Simulated:
        """Change some options; None takes one back to the settings. Raises UnknownProvider, InvalidOptions."""
        _base(name)
        row = SandboxState.objects.select_for_update().filter(pk=name).first()
        merged = {**(_understood(row.options) if row else {}), **options}
        return self.replace(name, {option: value for option, value in merged.items() if value is not None}, by=by)

    def apply(self, name: str, preset: Preset, *, by: str) -> Simulated:
        """Let it behave as a preset says. Raises UnknownProvider."""
        return self.replace(name, preset.options, by=by)

    def reset(self, name: str) -> Simulated:
        """Back to the settings. Raises UnknownProvider."""
        _base(name)
        SandboxState.objects.filter(pk=name).delete()
        _tell()
        return self.get(name)


def can_reply(call: SimulatedCall) -> bool:
    """Whether the phone that got this can answer: a text message of live traffic. What test keys send changes nobody's
    addresses, and a STOP would."""
    is_simulated = isinstance(registry.receiver(call.provider), simulated.SimulatedReceiver)
    return not call.is_test and is_simulated and call.provider in settings.PROVIDER_CHAINS[Channel.SMS]


def reply(call: SimulatedCall, text: str) -> Keyword | None:
    """Answer a text message from the phone that got it: the simulated vendor tells of it by its signed webhook, as a
    real one would. What the answer means to Carillon; None for other words than STOP and START. Raises NoReply, and
    what `webhooks.receive` raises."""
    if not can_reply(call):
        raise NoReply("Only a text message of live traffic can be answered.")
    event = simulated.Event(
        f"in-{uuid7().hex}", simulated.INBOUND, sender=call.address, text=text, at=datetime.now(UTC)
    )
    body = msgspec.json.encode(simulated.Webhook([event]))
    secret = simulated.secret(call.provider, settings.SECRET_KEY)
    headers = standard_webhooks.sign([secret], id=f"msg_{uuid7().hex}", timestamp=int(time.time()), body=body)
    webhooks.receive(call.provider, headers, body)
    return meaning_of(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFilter:
    """Which calls; what is None does not restrict. `recipient` is an external id."""

    delivery: UUID | None = None
    recipient: str | None = None
    provider: str | None = None
    outcome: str | None = None
    is_test: bool | None = None


def calls(wanted: CallFilter) -> QuerySet[SimulatedCall]:
    """Calls that fit, without order: the page decides. Names that do not exist match nothing."""
    rows = SimulatedCall.objects.all()
    if wanted.recipient is not None:
        person = Recipient.objects.filter(external_id=wanted.recipient).values_list("id", flat=True).first()
        rows = rows.filter(recipient_id=person) if person else rows.none()
    exact = {
        "delivery_id": wanted.delivery,
        "provider": wanted.provider,
        "outcome": wanted.outcome,
        "is_test": wanted.is_test,
    }
    return rows.filter(**{name: value for name, value in exact.items() if value is not None})


def settings_of(name: str) -> Options:
    """What the settings say of a simulated provider. Raises UnknownProvider."""
    return _base(name)


def external_ids(rows: Sequence[SimulatedCall]) -> dict[UUID, str]:
    """Who the calls of a page went to."""
    people = Recipient.objects.filter(id__in={row.recipient_id for row in rows})
    return dict(people.values_list("id", "external_id"))


def _configured() -> dict[str, Options]:
    """The simulated providers of the settings, with their options."""
    found = {}
    for name, entry in settings.PROVIDERS.items():
        kind = import_string(entry["class"])
        if isinstance(kind, type) and issubclass(kind, SimulatedProvider):
            found[name] = msgspec.convert(entry.get("options", {}), Options)
    return found


def _base(name: str) -> Options:
    try:
        return _configured()[name]
    except KeyError:
        raise UnknownProvider(name) from None


def _simulated(name: str, base: Options, row: SandboxState | None) -> Simulated:
    overridden = _understood(row.options) if row else {}
    try:
        behaviour = Behaviour.of(base, overridden)
    except msgspec.ValidationError:  # beside settings that changed: the provider ignores it, too
        overridden, behaviour = {}, Behaviour.of(base, {})
    return Simulated(
        name=name,
        options=behaviour.live.options,
        for_tests=behaviour.test.options,
        overridden=overridden,
        by=row.by if row and overridden else "",
        at=row.at if row and overridden else None,
        live=tuple(channel for channel, chain in settings.PROVIDER_CHAINS.items() if name in chain),
        tests=tuple(channel for channel, provider in settings.TEST_PROVIDERS.items() if name == provider),
    )


def _understood(options: Mapping[str, object]) -> dict[str, Any]:
    """What a row says, unless another version wrote it."""
    try:
        return dict(msgspec.to_builtins(msgspec.convert(dict(options), SandboxOptions)))
    except msgspec.ValidationError:
        return {}


def _checked(base: Options, options: Mapping[str, object]) -> dict[str, Any]:
    """The options as they are stored, or InvalidOptions."""
    errors: dict[str, str] = {}
    for name, value in options.items():
        try:
            msgspec.convert({name: value}, SandboxOptions)
        except msgspec.ValidationError as error:
            errors[name] = str(error).partition(" - at ")[0] + "."
    if errors:
        raise InvalidOptions(errors)
    checked = _understood(options)
    try:
        laid_over(base, checked)
    except msgspec.ValidationError as error:
        for names in exceeded({**dict.fromkeys(CHANGEABLE, 0.0), **checked}):
            blamed = [name for name in names if checked.get(name)]
            shares = ", ".join(f"{option_title(name)} {checked[name]:.4g}" for name in blamed)
            errors |= dict.fromkeys(blamed, f"Together these are more than 1: {shares}.")
        raise InvalidOptions(errors or {"": str(error)}) from None
    return checked


def _place(simulated: Simulated) -> tuple[int, int, str]:
    """Channels in their order; in a channel the chain's order."""
    order = list(Channel.values)
    channel = simulated.channels[0] if simulated.channels else ""
    chain = settings.PROVIDER_CHAINS.get(channel, [])
    position = chain.index(simulated.name) if simulated.name in chain else len(chain)
    return (order.index(channel) if channel else len(order), position, simulated.name)


def _tell() -> None:
    """This process sees its own change at once."""
    transaction.on_commit(states.forget)
