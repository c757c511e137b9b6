"""The sandbox in words: how a provider behaves, whom that touches, and a message as the person would read it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from notifications.admin import looks
from notifications.choices import Channel, EventType, FailureCode
from notifications.models import SimulatedCall
from notifications.providers.journal import ACCEPTED
from notifications.providers.simulated import TELLS
from notifications.providers.simulated_options import Options
from notifications.services.rendering import FIELDS, sms_segments
from notifications.services.sandbox import Simulated

#: An answer that takes longer is what people call slow.
SLOW_MS = 5_000
#: From this share of failures on, the weather is no longer calm.
ROUGH = 0.05
_ANSWERS = (
    ("success_rate", "taken"),
    ("temporary_rate", "answered with 503"),
    ("invalid_rate", "refused: no such address"),
    ("throttle_rate", "answered with 429"),
    ("timeout_rate", "never answered"),
)
_FATES = (
    ("bounce_rate", EventType.BOUNCED, "bounced"),
    ("complaint_rate", EventType.COMPLAINED, "marked as spam"),
    ("open_rate", EventType.OPENED, "opened"),
    ("click_rate", EventType.CLICKED, "clicked"),
)
_COUNTS = "Addresses that it calls invalid, and bounces, are held against them as in real life."
#: A share from which on a failure gives the weather its name.
_NAMED = (("timeout_rate", "Time-outs"), ("throttle_rate", "429"), ("invalid_rate", "Invalid addresses"))
OUTCOMES: dict[str, str] = {ACCEPTED: "Accepted", **{code.value: str(code.label) for code in FailureCode}}


def weather(options: Options) -> tuple[str, str]:
    """A name for the state of a provider, and its tone."""
    if options.outage:
        return "Outage", "red"
    for name, title in _NAMED:
        if getattr(options, name) >= 0.5:
            return title, "red"
    if options.latency_ms >= SLOW_MS:
        return "Slow", "amber"
    if 1 - options.success_rate >= ROUGH:
        return "Failing in part", "amber"
    return "Calm", "green"


def behaviour(options: Options, channels: Sequence[str]) -> list[str]:
    """How a provider treats what it gets on these channels, sentence by sentence."""
    if options.outage:
        return ["Every call is answered with 503.", _pace(options)]
    said = [f"{_percent(getattr(options, name))} {words}" for name, words in _ANSWERS if getattr(options, name) > 0]
    rest = 1 - sum(getattr(options, name) for name, _ in _ANSWERS)
    said += [f"{_percent(rest)} refused for good"] if rest > 1e-6 else []
    lines = [f"{_joined(said)}." if said != ["100% taken"] else "Everything is taken."]
    if options.throttle_rate > 0:
        header = options.throttle_retry_after or f"{options.throttle_seconds:g}"
        lines.append(f"Retry-After: {header}")
    return [*lines, _pace(options), _reports(options, channels)]


def _pace(options: Options) -> str:
    seconds = options.latency_ms / 1000
    if not seconds:
        return "Answers at once."
    about = "about " if options.latency_sigma else ""
    text = f"Answers after {about}{_duration(seconds)}"
    if seconds >= settings.PROVIDER_TIMEOUT_SECONDS:
        text += f"; workers give up after {_duration(settings.PROVIDER_TIMEOUT_SECONDS)}, though it has the message"
    return f"{text}."


def _reports(options: Options, channels: Sequence[str]) -> str:
    if not options.receipts:
        return "Reports nothing later."
    can = frozenset().union(*(TELLS[channel] for channel in channels))
    shares = ((getattr(options, name), words) for name, type, words in _FATES if type in can)
    said = [f"{_percent(share)} {words}" for share, words in shares if share > 0]
    fates = f": {_joined(said)}" if said else ": everything delivered"
    return f"Reports after about {_duration(options.receipt_delay_ms / 1000)}{fates}."


def _percent(share: float) -> str:
    return f"{share * 100:.3g}%"


def _duration(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:g} s"


def _joined(parts: Sequence[str]) -> str:
    return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Reach:
    """Whom the sandbox touches on a channel, in a sentence; `is_safe` when that is test keys alone."""

    channel: str
    title: str
    icon: str
    sentence: str
    is_safe: bool


def reach(channel: str, simulated: Sequence[Simulated]) -> Reach:
    """What becomes of live traffic on a channel."""
    chain: Sequence[str] = settings.PROVIDER_CHAINS.get(channel, [])
    fake = {one.name for one in simulated}
    title, icon = str(Channel(channel).label), looks.ICONS[channel]
    names = ", then ".join(chain)
    used = [name for name in chain if name in fake]
    if not used:
        sentence = f"The sandbox affects test keys only. Live traffic goes to {names}, which is not simulated."
    elif len(used) == len(chain):
        sentence = (
            f"Live traffic goes to {names}: simulated, so no live message reaches anybody. Test keys end here, too."
        )
    else:
        sentence = (
            f"Live traffic goes to {names}. Of these {_joined(used)} simulates: what it takes reaches nobody. {_COUNTS}"
        )
    return Reach(channel, title, icon, sentence, not used)


def touched(one: Simulated) -> tuple[str, str]:
    """Whose messages a provider gets, as a badge: words and tone."""
    if one.live:
        return ("live traffic and test keys" if one.tests else "live traffic"), "amber"
    return ("test keys only", "blue") if one.tests else ("in no chain", "grey")


@dataclass(frozen=True, slots=True)
class Message:
    """A call as a person would read the message. `fields` are (name, text) of what is neither title, body nor html."""

    call: SimulatedCall
    channel: str
    icon: str
    outcome: str
    tone: str
    title: str
    body: str
    html: str
    fields: list[tuple[str, str]]
    recipient: str


def message(call: SimulatedCall, recipient: str = "") -> Message:
    content: Mapping[str, Any] = call.content
    channel = _channel(call)
    title = str(content.get("subject") or content.get("title") or "")
    body = str(content.get("text") or content.get("body") or "")
    shown = {"subject", "title", "text", "body", "html"}
    fields = [(name, str(content[name])) for name in FIELDS[channel] if name not in shown and content.get(name)]
    if channel == Channel.SMS:
        size = sms_segments(body)
        fields.append(("size", f"{size.segments} segment{'s' if size.segments != 1 else ''}, {size.encoding.label}"))
    return Message(
        call=call,
        channel=channel,
        icon=looks.ICONS[channel],
        outcome=OUTCOMES.get(call.outcome, call.outcome),
        tone=tone(call.outcome),
        title=title,
        body=body,
        html=str(content.get("html") or ""),
        fields=fields,
        recipient=recipient,
    )


def tone(outcome: str) -> str:
    temporary = {FailureCode.UNAVAILABLE, FailureCode.THROTTLED, FailureCode.TIMEOUT}
    return "green" if outcome == ACCEPTED else "amber" if outcome in temporary else "red"


def _channel(call: SimulatedCall) -> str:
    """A call does not say its channel; what it has to say does."""
    if "subject" in call.content:
        return Channel.EMAIL
    if call.platform:
        return Channel.PUSH
    return Channel.IN_APP if "title" in call.content else Channel.SMS
