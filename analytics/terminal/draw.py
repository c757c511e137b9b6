"""A snapshot as tables for a terminal. What asks for somebody's attention comes first, is told in words and not by
colour alone, and is the last to be cut off when the window is small."""

from collections.abc import Callable, Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from analytics.alerts.choices import Severity
from analytics.alerts.selectors import OpenAlert
from analytics.terminal import words
from analytics.terminal.gather import MINUTES, RECENT, Flow, Snapshot
from notifications.lanes import label
from notifications.live import COUNTED, LaneState, ProcessState
from notifications.management.tables import printable
from notifications.services import events_lane
from notifications.services.providers import Standing, State

#: A lane whose oldest message has waited this long is coloured; by the aims of critical and of normal messages.
LATE_SECONDS = {"critical": 5.0, "high": 30.0}
LATE = 60.0
#: Window width from which tables stand side by side.
WIDE = 180
#: What the first table takes beside its chart, and the least of a chart that says something. Narrower than NARROW it
#: leaves out what is least missed.
BESIDE_CHART, LEAST_CHART, NARROW = 86, 10, 86
#: And what stands beside all that in a wide window.
BESIDE_TABLES = 84
#: Alerts that are shown.
ALERTS = 6
#: Live processes that are listed one by one; of more, their number is told.
LISTED = 12

_SEVERITIES = {Severity.CRITICAL.value: "bold red", Severity.WARNING.value: "bold yellow"}
_STATES = {
    State.CLOSED: "green",
    State.HALF_OPEN: "yellow",
    State.OPEN: "red",
    State.PAUSED: "yellow",
    State.SWITCHED_OFF: "yellow",
    State.UNKNOWN: "magenta",
}


def whole(shown: Snapshot, *, width: int, plain: bool = False, trouble: str = "") -> RenderableType:
    """The page. `trouble`: why it could not be read anew; then the figures are old, and say so."""
    left: list[RenderableType] = [
        _flows(shown.flows, width, plain=plain),
        *_causes(shown.causes),
        Text(),
        _lanes(shown),
        Text(),
    ]
    right: list[RenderableType] = [_providers(shown), Text(), _processes(shown.state.processes)]
    body: RenderableType = Group(*left, *right)
    if width >= WIDE:
        side = Table.grid(padding=(0, 3))
        side.add_row(Group(*left), Group(*right))
        body = side
    return Group(_head(shown), *_banners(shown, trouble), *_alerts(shown.alerts), Text(), body)


def _head(shown: Snapshot) -> Text:
    state = shown.state
    lag = state.oldest_seconds
    parts = [
        f"{state.at:%H:%M:%S} UTC",
        "over RabbitMQ" if state.uses_broker else "over PostgreSQL",
        f"oldest waiting {words.duration(lag)}",
        *([f"outbox lag {words.duration(state.outbox_lag_seconds)}"] if state.uses_broker else []),
        f"dead letters {words.count(state.dead_letters, capped=state.dead_letters >= COUNTED)}",
    ]
    return Text.assemble(("Carillon  ", "bold"), "  ·  ".join(parts))


def _banners(shown: Snapshot, trouble: str) -> Iterator[Text]:
    state = shown.state
    if trouble:
        yield Text(f"! {trouble} These figures are of {state.at:%H:%M:%S}.", style="bold red")
    if shown.providers.redis_away:
        yield Text("! Redis does not answer: circuits are unknown, marketing waits.", style="bold yellow")
    if state.uses_broker and not state.depths_known:
        yield Text("! Nobody could look at the broker's queues: what waits there is unknown.", style="bold yellow")
    if state.uses_broker and not state.alive("relay"):
        yield Text("! No relay lives: what is due stays in the outbox.", style="bold red")
    if shown.events.oldest_seconds > LATE:
        number = words.count(shown.events.due, capped=shown.events.due >= events_lane.COUNTED)
        waited = words.duration(shown.events.oldest_seconds)
        yield Text(f"! {number} receipts, opens and clicks wait, the oldest for {waited}.", style="bold yellow")
    missing = [kind for kind in ("maintenance", "events", "campaigns") if not state.alive(kind)]
    if missing:
        yield Text(f"! Not running: {', '.join(missing)}.", style="bold yellow")
    if unserved := [channel for channel, workers in state.workers_alive.items() if not workers]:
        yield Text(f"! No worker for {', '.join(map(label, unserved))}: messages wait.", style="bold red")


def _alerts(alerts: Sequence[OpenAlert]) -> Iterator[Text]:
    """What fires: what asks for somebody first, then what somebody has taken on or something else explains."""
    for one in sorted(alerts, key=lambda one: not one.is_loud)[:ALERTS]:
        about = f" ({_quieted(one)})" if not one.is_loud else ""
        style = "dim" if not one.is_loud else _SEVERITIES.get(one.severity, "yellow")
        yield Text(f"! {one.severity}: {printable(one.title)}. {printable(one.summary)}{about}", style=style)
    if len(alerts) > ALERTS:
        yield Text(f"! and {len(alerts) - ALERTS} more alerts", style="dim")


def _quieted(one: OpenAlert) -> str:
    if one.acknowledged_by:
        return f"taken on by {printable(one.acknowledged_by)}"
    return "silenced" if one.is_silenced else f"because of: {printable(one.explained_by)}"


def _flows(flows: Sequence[Flow], width: int, *, plain: bool) -> Table:
    """By channel. The chart takes what room there is."""
    chart = min(MINUTES, width - BESIDE_CHART - (BESIDE_TABLES if width >= WIDE else 0))
    is_narrow = width < NARROW
    columns: dict[str, Callable[[Flow], str | Text]] = {"Sent/s": lambda flow: words.rate(flow.per_second)}
    if chart >= LEAST_CHART:
        columns[f"Last {chart} minutes"] = lambda flow: words.bars(flow.sent[-chart:], plain=plain)
    columns["p50"] = lambda flow: words.duration(flow.quantiles[0])
    columns["p95"] = lambda flow: words.duration(flow.quantiles[1])
    columns["p99"] = lambda flow: words.duration(flow.quantiles[2])
    if not is_narrow:
        columns["Delivered"] = lambda flow: words.count(flow.delivered)
    columns |= {
        "Skipped": lambda flow: words.count(flow.skipped),
        "Held": lambda flow: _some(flow.held, "yellow"),
        "Retried": lambda flow: _some(flow.retried, "yellow"),
        "Failed": lambda flow: _some(flow.failed, "red"),
    }
    table = _table(f"Last {RECENT} minutes", "Channel", *_right(*columns))
    for flow in flows:
        table.add_row(label(flow.channel), *(cell(flow) for cell in columns.values()))
    return table


def _causes(causes: Sequence[tuple[str, int]]) -> Iterator[Text]:
    if causes:
        told = "  ·  ".join(f"{printable(why)} {words.count(number)}" for why, number in causes)
        yield Text(f"Why not: {told}", style="dim")


def _lanes(shown: Snapshot) -> RenderableType:
    """Lanes in which something waits, the longest-waiting first."""
    broker = shown.state.uses_broker
    waiting = [lane for lane in shown.state.lanes if lane.due or lane.later or lane.taken or lane.broker_depth]
    if not waiting:
        return Text("Nothing waits in any lane.", style="dim")
    place = ("Broker", "Oldest there") if broker else ("In hand",)
    table = _table("Waiting", "Lane", *_right("Due", "Oldest", *place, "Later", "Workers"))
    for lane in sorted(waiting, key=lambda lane: -(lane.oldest_seconds or -1.0)):
        table.add_row(
            f"{lane.channel}.{lane.priority}",
            words.count(lane.due, capped=lane.capped),
            _age(lane, lane.oldest_due_seconds),
            *(_on_the_broker(lane) if broker else [words.count(lane.taken, capped=lane.capped)]),
            words.count(lane.later, capped=lane.capped),
            str(lane.workers) if lane.workers else Text("none", style="bold red"),
        )
    return table


def _on_the_broker(lane: LaneState) -> tuple[str, str | Text]:
    if lane.broker_depth is None:
        return words.UNKNOWN, words.UNKNOWN
    if not lane.broker_depth:
        return "0", words.NOTHING
    oldest = lane.broker_oldest_seconds
    return words.count(lane.broker_depth), words.UNKNOWN if oldest is None else _age(lane, oldest)


def _age(lane: LaneState, seconds: float | None) -> Text:
    is_late = seconds is not None and seconds > LATE_SECONDS.get(lane.priority, LATE)
    return Text(words.duration(seconds), style="bold red" if is_late else "")


def _providers(shown: Snapshot) -> Table:
    table = _table("Providers", "Channel", "Provider", "State", *_right("Messages", "Failed", "Slow"))
    for chain in shown.providers.chains:
        for one in chain.providers:
            table.add_row(
                label(chain.channel.value),
                printable(one.name),
                Text(_state(one), style=_STATES[one.state]),
                words.count(one.tally.calls) if one.circuit is not None else words.UNKNOWN,
                _share(one.failure_rate),
                _share(one.slow_rate),
            )
    return table


def _state(one: Standing) -> str:
    if one.state == State.OPEN:
        return f"{one.state.label}, {words.duration(one.open_for)}"
    if one.state == State.PAUSED:
        return f"{one.state.label}, {words.duration(one.paused_for)}"
    return str(one.state.label)


def _processes(processes: Sequence[ProcessState]) -> Table:
    """The lost ones first: they are what one looks for, unless another has taken their place."""
    table = _table("Processes", "Process", "Host", *_right("Pid", "Up", "Beat", "Memory"))
    lost = [one for one in processes if not one.alive]
    live = [one for one in processes if one.alive]
    places = {(one.name, one.host) for one in live}
    replaced = [one for one in lost if (one.name, one.host) in places]
    missed = [one for one in lost if (one.name, one.host) not in places]
    for one in [*missed, *live, *replaced][:LISTED]:
        style = "" if one.alive else "bold red" if one in missed else "dim"
        note = "" if one.alive else " (lost)" if one in missed else " (lost, replaced)"
        beat = Text(f"{words.duration(one.age)} ago", style=style)
        table.add_row(
            Text(printable(one.name) + note, style=style),
            printable(one.host),
            str(one.pid),
            words.duration(one.up),
            beat,
            words.size(one.stats.get("memory")),
        )
    if (rest := len(processes) - LISTED) > 0:
        table.add_row(Text(f"and {rest} more", style="dim"), "", "", "", "", "")
    return table


def _table(title: str, *columns: str | tuple[str, str]) -> Table:
    """Without lines, which would cost a third of a small window."""
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=None,
        padding=(0, 2, 0, 0),
        pad_edge=False,
        header_style="dim",
    )
    for column in columns:
        name, justify = (column, "left") if isinstance(column, str) else column
        table.add_column(name, justify="right" if justify == "right" else "left", no_wrap=True)
    return table


def _right(*names: str) -> list[tuple[str, str]]:
    return [(name, "right") for name in names]


def _some(number: int, style: str) -> Text:
    return Text(words.count(number), style=style if number else "")


def _share(share: float | None) -> Text:
    if share is None:
        return Text(words.NOTHING)
    return Text(f"{share:.0%}", style="red" if share >= 0.5 else "yellow" if share >= 0.1 else "")
