"""Do people get their messages? One answer from everything that is known at this moment, and what speaks against it.

Pure: values in, values out. What is not known is said and never taken for good news.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from analytics.dashboard.figures import success
from analytics.rollups.reading import Tallies
from notifications import lanes
from notifications.choices import Channel, EventType, Priority
from notifications.live import LaneState, LiveState
from notifications.services.providers import Chain, Overview, State

GOOD, QUIET, UNKNOWN, WARN, BAD = "good", "quiet", "unknown", "warn", "bad"
#: The worse, the later: the worst finding is the verdict.
_RANK = {GOOD: 0, QUIET: 1, UNKNOWN: 2, WARN: 3, BAD: 4}

#: Something due has waited so long: worth a look, and worth getting up for. The relay takes 0.1 s, a busy lane seconds.
BEHIND_SECONDS, FAR_BEHIND_SECONDS = 60.0, 300.0
#: Share of the messages tried in the last minutes that were lost, and how many must have been tried for it to count.
POOR, BAD_SHARE, ENOUGH = 0.95, 0.8, 20

_TITLES = {
    GOOD: "People are getting their messages",
    QUIET: "All quiet",
    UNKNOWN: "Messages may be getting through: not everything can be seen",
    WARN: "Messages are getting through, but something needs a look",
    BAD: "Some messages are not getting through",
}
#: Processes without which something stands still, and what that is.
_NEEDED = {
    "maintenance": "nobody puts back what was left behind, and no alert is raised",
    "events": "receipts wait, so “delivered” stands still",
    "campaigns": "campaigns do not move on",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to know: how bad, about what, in a sentence. `about` is a channel or another part of the page."""

    tone: str
    about: str
    words: str


@dataclass(frozen=True, slots=True)
class Verdict:
    tone: str
    title: str
    sentence: str
    findings: list[Finding]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a verdict is passed on. `recent`: the outcomes of the last `minutes`; `alerts`: the tone and the channel (or
    "") of each open alert that asks for somebody; `alerting`: whether rules are looked at."""

    live: LiveState
    overview: Overview
    recent: Tallies
    minutes: int
    dead_in_hour: int = 0
    alerts: Sequence[tuple[str, str]] = ()
    alerting: bool = True


def verdict(known: Known) -> Verdict:
    """The worst that was found, and all that was found, the worst first."""
    found = sorted(_findings(known), key=lambda finding: -_RANK[finding.tone])
    sent = known.recent.total(EventType.SENT)
    own = max([GOOD if sent else QUIET, *(finding.tone for finding in found)], key=_RANK.__getitem__)
    tone = max([own, *(tone for tone, _ in known.alerts)], key=_RANK.__getitem__)
    title = _TITLES[own] if tone == own else _alerted(tone, [one for one, _ in known.alerts].count(tone))
    return Verdict(tone, title, _sentence(known, sent), found)


def of_channel(known: Known, channel: str) -> str:
    """How one channel is doing, by what was found about it, its alerts and whether anything was sent."""
    tones = [finding.tone for finding in _findings(known) if finding.about == channel]
    tones += [tone for tone, about in known.alerts if about == channel]
    usual = GOOD if known.recent.total(EventType.SENT, channel=channel) else QUIET
    return max([usual, *tones], key=_RANK.__getitem__)


def _alerted(tone: str, count: int) -> str:
    """The title when alerts are worse than all that is seen here."""
    kind = "critical alert" if tone == BAD else "alert"
    return (
        f"{'A critical' if tone == BAD else 'An'} alert asks for a look"
        if count == 1
        else f"{count} {kind}s ask for a look"
    )


def _sentence(known: Known, sent: int) -> str:
    span = f"in the last {known.minutes} minutes"
    waiting = sum(lane.due for lane in known.live.lanes)
    share = success(known.recent)
    if not sent:
        return f"Nothing was sent {span}" + (f", and {waiting:,} are due." if waiting else ", and nothing is due.")
    of_tried = "" if share is None else f", {_percent(share)} of what was tried got through"
    return f"{sent:,} sent {span}{of_tried}."


def _findings(known: Known) -> Iterator[Finding]:
    for chain in known.overview.chains:
        yield from _of_chain(chain)
    if known.overview.redis_away:
        yield Finding(
            UNKNOWN, "providers", "Redis does not answer: circuits and limits cannot be seen. Sending goes on."
        )
    for channel in Channel:
        yield from _of_lanes(channel, [lane for lane in known.live.lanes if lane.channel == channel])
        yield from _of_outcomes(channel, known)
    for other in lanes.CHANNELS[len(Channel) :]:
        yield from _of_lanes(other, [lane for lane in known.live.lanes if lane.channel == other])
    yield from _of_processes(known.live)
    if not known.alerting:
        yield Finding(UNKNOWN, "alerts", "Alert rules are not being looked at: nobody would be told of trouble.")
    if known.dead_in_hour:
        words = f"{_messages(known.dead_in_hour)} given up on in the last hour: every try failed."
        yield Finding(WARN, "dead", words)


def _of_chain(chain: Chain) -> Iterator[Finding]:
    channel, first, serving = chain.channel, chain.providers[0], chain.serving
    if serving is first:
        return
    if serving is not None:
        yield Finding(
            WARN, channel, f"{channel.label} failed over to {serving.name}: {first.name} is {_is(first.state)}."
        )
        return
    states = {one.state for one in chain.providers}
    if State.UNKNOWN in states:
        return  # told once, for all
    if states == {State.SWITCHED_OFF}:
        yield Finding(BAD, channel, f"{channel.label} waits: every provider of it is switched off.")
    elif State.HALF_OPEN in states:
        yield Finding(WARN, channel, f"{channel.label} waits for the answer of a probe.")
    else:
        yield Finding(BAD, channel, f"{channel.label} waits: none of its providers may be asked.")


def _is(state: State) -> str:
    return {
        State.OPEN: "failing, its circuit is open",
        State.HALF_OPEN: "being probed",
        State.PAUSED: "pausing, as it asked",
        State.SWITCHED_OFF: "switched off",
    }.get(state, "unknown")


def _of_lanes(channel: str, states: Sequence[LaneState]) -> Iterator[Finding]:
    waiting = [(lane.oldest_seconds, lane) for lane in states if lane.oldest_seconds is not None]
    if not waiting:
        return
    age, lane = max(waiting, key=lambda item: item[0])
    if age >= BEHIND_SECONDS:
        priority = Priority(lane.priority).label.lower()
        words = f"{lanes.label(channel)} is behind: a message of {priority} priority has waited {duration(age)}."
        yield Finding(BAD if age >= FAR_BEHIND_SECONDS else WARN, channel, words)


def _of_outcomes(channel: Channel, known: Known) -> Iterator[Finding]:
    share = success(known.recent, channel)
    tried = known.recent.total(EventType.SENT, EventType.FAILED, EventType.DEAD, channel=channel)
    if share is not None and share < POOR and tried >= ENOUGH:
        words = f"{channel.label}: only {_percent(share)} of {tried:,} messages got through in {known.minutes} minutes."
        yield Finding(BAD if share < BAD_SHARE else WARN, channel, words)


def _of_processes(live: LiveState) -> Iterator[Finding]:
    if not any(process.alive for process in live.processes):
        yield Finding(UNKNOWN, "processes", "No process has said that it lives: whether anybody works cannot be seen.")
        return
    for channel in lanes.CHANNELS:
        if not live.workers_alive.get(channel):
            due = any(lane.due for lane in live.lanes if lane.channel == channel)
            words = f"No worker serves {lanes.label(channel)}" + (": its messages wait." if due else ".")
            if due or channel in Channel.values:  # what is no channel of deliveries may well not be used
                yield Finding(BAD if due else WARN, channel, words)
    if live.uses_broker and not live.alive("relay"):
        yield Finding(BAD, "processes", "No relay runs: nothing new reaches the broker.")
    for kind, effect in _NEEDED.items():
        if not live.alive(kind):
            yield Finding(WARN, "processes", f"No {kind} process runs: {effect}.")
    if live.uses_broker and not live.depths_known:
        yield Finding(UNKNOWN, "queues", "Nobody could look at the broker's queues: how much waits there is unknown.")


def _messages(count: int) -> str:
    return "1 message was" if count == 1 else f"{count:,} messages were"


def _percent(share: float) -> str:
    """Rounded down, so that 100% means all."""
    return f"{int(share * 1000) / 10:g}%"


def duration(seconds: float) -> str:
    """12 s, 4 min, 2.5 h, 3 days."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.0f} days"
