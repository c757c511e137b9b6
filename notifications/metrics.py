"""What the pipeline counts for Prometheus (see core.metrics): one addition a batch, not one a message.

What became of deliveries is counted where everybody else is told of it, as an observer of every batch that is recorded.
How lanes, processes and providers stand is read by the web process when Prometheus asks.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial

from django.db import transaction
from prometheus_client import Metric

from core import metrics, redis
from core.metrics import gauge_family
from notifications import latency, live
from notifications.observers import OutcomeKey
from notifications.services import events_lane, providers, receipts

_ACCEPTED = metrics.counter("accepted_total", "Notifications accepted, by where they came from.", "via")
_DELIVERIES = metrics.counter(
    "deliveries_total", "What became of deliveries, event by event, and why.", "channel", "outcome", "reason"
)
_PROVIDERS = metrics.counter(
    "provider_deliveries_total", "The same by the provider that it came about with.", "provider", "outcome", "reason"
)
_RECEIPTS = metrics.counter(
    "receipts_total", "Receipts of providers: applied, changing nothing, or of nobody we know.", "provider", "result"
)
#: Every third edge of the counters' buckets, so that each of those lies in one of these: 1 ms, 2 ms, ... 9 hours.
_EDGES = tuple(edge.total_seconds() for edge in latency.EDGES[::3])[:26]
_LATENCY = metrics.histogram(
    "accept_to_sent_seconds",
    "From acceptance, or the moment asked for, to the provider's yes; to a quarter.",
    "channel",
    bounds=_EDGES,
)

CLAIMS = metrics.counter("claims_total", "Deliveries that workers claimed.", "channel", "priority")
BATCHES = metrics.counter("batches_total", "Messages that workers handled.", "channel", "priority", "verdict")
BATCH_SECONDS = metrics.histogram("batch_seconds", "How long a worker had a message in hand.", "channel")
QUEUE_SECONDS = metrics.histogram(
    "queue_seconds",
    "How long a message had waited on the broker when a worker took it.",
    "channel",
    "priority",
    bounds=(0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0),
)
CALLS = metrics.counter(
    "provider_calls_total",
    "Calls of providers: answered, timeout, crashed, miscounted.",
    "channel",
    "provider",
    "result",
)
CALL_SECONDS = metrics.histogram("provider_call_seconds", "How long a call of a provider took.", "channel", "provider")
PUBLISHED = metrics.counter("relay_messages_total", "Messages that the broker confirmed.", "channel", "priority")
REFUSED = metrics.counter("relay_refused_total", "Messages that a full queue refused.", "channel", "priority")
TASKS = metrics.counter("maintenance_tasks_total", "Turns of tasks: done, waits or failed.", "task", "result")
TASK_SECONDS = metrics.histogram("maintenance_task_seconds", "How long a turn of a task took.", "task")
BEAT_FAILURES = metrics.counter("beat_failures_total", "Beats that could not be written.")
PROCESS = metrics.gauge("process_info", "What this process is.", "kind", "process")


class Outcomes:
    """A `DeliveryObserver`: counts what commits, once it has."""

    def record(self, counts: Mapping[OutcomeKey, int], at: datetime | None = None) -> None:
        transaction.on_commit(partial(count, dict(counts)), robust=True)


def count(counts: Mapping[OutcomeKey, int]) -> None:
    """Add what a batch came to. Sources are callers' and campaigns' names: only their kind is kept."""
    for key, n in counts.items():
        if key.outcome == latency.OUTCOME:
            edge = min(int(key.reason), len(latency.EDGES) - 1)
            _LATENCY.observe(key.channel, value=latency.EDGES[edge].total_seconds(), times=n)
        elif key.outcome == "accepted":
            _ACCEPTED.inc(key.source.partition(":")[0], by=n)
        elif key.outcome == receipts.OUTCOME:
            _RECEIPTS.inc(key.provider, key.reason, by=n)
        else:
            _DELIVERIES.inc(key.channel, key.outcome, key.reason, by=n)
            if key.provider:
                _PROVIDERS.inc(key.provider, key.outcome, key.reason, by=n)


# --- the installation's, read when somebody asks ---------------------------------------------------------------------


def standing() -> Iterator[Metric]:
    """Lanes, outbox, dead letters and processes. What is not known is left out, and never 0."""
    state = live.state()
    yield from _lanes(state)
    lag = gauge_family("outbox_lag_seconds", "How long the longest-due row of the outbox has waited.")
    lag.add_metric([], state.outbox_lag_seconds)
    dead = gauge_family("dead_letters", f"Dead letters nobody has replayed; {live.COUNTED}: or more.")
    dead.add_metric([], state.dead_letters)
    processes = gauge_family("processes", "Processes that live.", "kind")
    lost = gauge_family("processes_lost", "Processes that were lost within the hour.", "kind")
    for kind in sorted({*KINDS, *(process.kind for process in state.processes)}):
        processes.add_metric([kind], state.alive(kind))
        lost.add_metric([kind], sum(p.kind == kind and not p.alive for p in state.processes))
    workers = gauge_family("workers", "Workers that live.", "channel")
    for channel, number in state.workers_alive.items():
        workers.add_metric([channel], number)
    yield from (lag, dead, processes, lost, workers)


#: Those without which something stands still; a relay only with a broker.
KINDS = ("web", "worker", "campaigns", "events", "maintenance")


def _lanes(state: live.LiveState) -> Iterator[Metric]:
    lane = ("channel", "priority")
    due = gauge_family("outbox_due", "Deliveries in the outbox that are due.", *lane)
    oldest = gauge_family("outbox_oldest_seconds", "How long the longest-due of a lane has waited; 0: none.", *lane)
    later = gauge_family("outbox_later", "Deliveries in the outbox for a later moment.", *lane)
    taken = gauge_family("outbox_taken", "Deliveries in workers' hands, without a broker.", *lane)
    depth = gauge_family("queue_messages", "Messages on the broker that no worker has, of up to 500 deliveries.", *lane)
    age = gauge_family("queue_oldest_seconds", "How old the oldest of those is at most; 0: none.", *lane)
    serving = gauge_family("lane_workers", "Live workers that serve a lane.", *lane)
    for one in state.lanes:
        labels = [one.channel, one.priority]
        due.add_metric(labels, one.due)
        oldest.add_metric(labels, one.oldest_due_seconds or 0.0)
        later.add_metric(labels, one.later)
        taken.add_metric(labels, one.taken)
        serving.add_metric(labels, one.workers)
        if one.broker_depth is not None:
            depth.add_metric(labels, one.broker_depth)
            if one.broker_oldest_seconds is not None or not one.broker_depth:
                age.add_metric(labels, one.broker_oldest_seconds or 0.0)
    yield from (due, oldest, later, taken, depth, age, serving)


def circuits() -> Iterator[Metric]:
    """Where each provider stands: 1 for the state it is in."""
    overview = providers.overview()
    states = gauge_family("provider_state", "1 for the state that a provider is in.", "provider", "state")
    serving = gauge_family("channel_open", "Whether any provider of a channel takes messages.", "channel")
    for chain in overview.chains:
        for one in chain.providers:
            for state in providers.State:
                states.add_metric([one.name, state.value], float(one.state == state))
        if not overview.redis_away:
            serving.add_metric([chain.channel.value], float(chain.serving is not None))
    yield from (states, serving)


def events() -> Iterator[Metric]:
    """The events lane: receipts, opens and clicks."""
    depth = events_lane.depth()
    waiting = gauge_family("events_waiting", f"Events that wait to be applied; {events_lane.COUNTED}: or more.")
    oldest = gauge_family("events_oldest_seconds", "How long the longest-due of them has waited; 0: none.")
    waiting.add_metric([], depth.due)
    oldest.add_metric([], depth.oldest_seconds)
    yield from (waiting, oldest)


class _Redis:
    """Of this process: whether its last call found no Redis."""

    def collect(self) -> Iterator[Metric]:
        family = gauge_family("redis_away", "Whether this process's last call found no Redis.")
        family.add_metric([], float(redis.away()))
        yield family


def install() -> None:
    """Have the web process's page show all this. Once, when the apps are ready."""
    metrics.registry.register(_Redis())
    metrics.installation.add("standing", standing)
    metrics.installation.add("circuits", circuits)
    metrics.installation.add("events", events)
