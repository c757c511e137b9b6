"""How the installation stands at this moment: lanes, queues, processes. For the dashboard, alerts, metrics and `top`.

All of it is read from PostgreSQL, whoever asks: what only the broker knows is written there by `run_maintenance`
(`notifications.depths`), what only a process knows by its beats (`notifications.beats`). What is not known is None and
never 0. Ages are by the database's clock, but for what waits on the broker: a message carries the moment at which its
relay made it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from notifications import messaging
from notifications.lanes import CHANNELS, LANES
from notifications.models import DeadLetter, ProcessBeat, QueueDepth

#: A process whose last beat is older does not live: four beats are missing.
STALE_SECONDS = 20.0
#: A look at the broker's queues that is older says nothing any more: six are missing.
DEPTHS_STALE_SECONDS = 30.0
#: Rows of a lane's outbox, and dead letters, that are counted; above that there may be more. Each row of the outbox
#: holds up to 500 deliveries, and reading so many takes some five milliseconds.
COUNTED = 5_000
#: Processes that are read.
MAX_PROCESSES = 1_000

# Lane by lane, so that what is read is bounded however much waits. Without an order, which nobody needs: with one, and
# figures of the planner's from when the table was empty, all of a lane would be read and sorted.
_LANES = """
SELECT lane.channel, lane.priority, due.size, extract(epoch FROM statement_timestamp() - first.due_at)::float8,
       later.size, later.taken, greatest(due.rows, later.rows) >= %(most)s
  FROM unnest(%(channels)s::text[], %(priorities)s::text[]) WITH ORDINALITY AS lane(channel, priority, rank)
 CROSS JOIN LATERAL (
       SELECT count(*) AS rows, coalesce(sum(size), 0)::bigint AS size FROM (
              SELECT size FROM notifications_outbox o
               WHERE o.channel = lane.channel AND o.priority = lane.priority AND o.due_at <= statement_timestamp()
               LIMIT %(most)s) one) due
 CROSS JOIN LATERAL (
       SELECT min(o.due_at) AS due_at FROM notifications_outbox o
        WHERE o.channel = lane.channel AND o.priority = lane.priority AND o.due_at <= statement_timestamp()) first
 CROSS JOIN LATERAL (
       SELECT count(*) AS rows, coalesce(sum(size) FILTER (WHERE takes = 0), 0)::bigint AS size,
              coalesce(sum(size) FILTER (WHERE takes > 0), 0)::bigint AS taken FROM (
              SELECT size, takes FROM notifications_outbox o
               WHERE o.channel = lane.channel AND o.priority = lane.priority AND o.due_at > statement_timestamp()
               LIMIT %(most)s) one) later
 ORDER BY lane.rank
"""


@dataclass(frozen=True, slots=True)
class LaneState:
    """What waits in one lane. `due`, `later` and `taken` count deliveries in the outbox: to be sent now, at a later
    moment, and in a worker's hands (without a broker). `capped`: there may be more of them.

    `broker_depth` counts messages, of up to 500 deliveries each, that no worker has been handed yet;
    `broker_oldest_seconds` is how old the oldest of them is at most, None when there is none. Both are None without a
    broker and when nobody could look.
    """

    channel: str
    priority: str
    due: int
    oldest_due_seconds: float | None  # since it became due; None: nothing is due
    later: int
    taken: int
    capped: bool
    broker_depth: int | None
    broker_oldest_seconds: float | None
    workers: int  # live ones that serve this lane

    @property
    def oldest_seconds(self) -> float | None:
        """How long the longest-waiting delivery of this lane has waited, wherever it is; None: none waits, as far as
        is known."""
        return max(
            (age for age in (self.oldest_due_seconds, self.broker_oldest_seconds) if age is not None), default=None
        )


@dataclass(frozen=True, slots=True)
class ProcessState:
    """One process. `age` and `up` are seconds since its last beat and since its start. `channels` are those a worker
    serves, `priorities` which lanes of them; `stats` is what it says of itself (see `notifications.beats`)."""

    kind: str
    name: str
    host: str
    pid: int
    alive: bool
    age: float
    up: float
    channels: tuple[str, ...]
    priorities: tuple[str, ...]
    stats: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LiveState:
    """Everything at `at`, the database's clock."""

    at: datetime
    uses_broker: bool
    lanes: tuple[LaneState, ...]
    outbox_lag_seconds: float  # how long the longest-due row waits for the relay, or for a worker; 0.0: nothing is due
    dead_letters: int  # that nobody has replayed; COUNTED: as many or more
    processes: tuple[ProcessState, ...]  # those that were lost within the hour too
    workers_alive: Mapping[str, int]  # by channel; every channel is a key
    depths_at: datetime | None  # when the broker's queues were looked at; None: never, or no broker
    depths_known: bool  # whether that is recent enough to go by

    def alive(self, kind: str) -> int:
        """Live processes of a kind."""
        return sum(process.alive and process.kind == kind for process in self.processes)

    def lane(self, channel: str, priority: str) -> LaneState:
        """One lane. Raises KeyError when there is none of that name."""
        for lane in self.lanes:
            if (lane.channel, lane.priority) == (channel, priority):
                return lane
        raise KeyError((channel, priority))

    @property
    def oldest_seconds(self) -> float | None:
        """How long the longest-waiting delivery of all has waited since it was due; None: none waits."""
        return max((lane.oldest_seconds for lane in self.lanes if lane.oldest_seconds is not None), default=None)


def state() -> LiveState:
    """Four queries, each bounded. Raises django.db.Error when PostgreSQL is away; nothing else is asked."""
    now, rows = _lane_rows()
    processes = tuple(_process(beat, now) for beat in ProcessBeat.objects.all()[:MAX_PROCESSES])
    uses_broker = messaging.uses_broker()
    depths = {(row.channel, row.priority): row for row in QueueDepth.objects.all()} if uses_broker else {}
    depths_at = max((row.at for row in depths.values()), default=None)
    is_fresh = depths_at is not None and now - depths_at <= timedelta(seconds=DEPTHS_STALE_SECONDS)
    lanes = tuple(_lane(row, depths if is_fresh else {}, processes, now) for row in rows)
    channels = [*CHANNELS, *(c for process in processes if process.alive for c in process.channels)]
    return LiveState(
        at=now,
        uses_broker=uses_broker,
        lanes=lanes,
        outbox_lag_seconds=max((lane.oldest_due_seconds or 0.0 for lane in lanes), default=0.0),
        dead_letters=DeadLetter.objects.filter(replayed_at=None).order_by()[:COUNTED].count(),
        processes=processes,
        workers_alive={channel: _serving(processes, channel) for channel in dict.fromkeys(channels)},
        depths_at=depths_at,
        depths_known=is_fresh,
    )


_LaneRow = tuple[str, str, int, float | None, int, int, bool]


def _lane_rows() -> tuple[datetime, Sequence[_LaneRow]]:
    with connection.cursor() as cursor:
        channels, priorities = zip(*LANES, strict=True)
        cursor.execute(_LANES, {"channels": list(channels), "priorities": list(priorities), "most": COUNTED})
        rows: list[_LaneRow] = cursor.fetchall()
        cursor.execute("SELECT statement_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now, rows


def _process(beat: ProcessBeat, now: datetime) -> ProcessState:
    age = max(0.0, (now - beat.beat_at).total_seconds())
    return ProcessState(
        kind=beat.kind,
        name=beat.name,
        host=beat.host,
        pid=beat.pid,
        alive=age <= STALE_SECONDS,
        age=age,
        up=max(0.0, (now - beat.started_at).total_seconds()),
        channels=tuple(beat.stats.get("channels", ())),
        priorities=tuple(beat.stats.get("priorities", ())),
        stats=beat.stats,
    )


def _serving(processes: Sequence[ProcessState], channel: str, priority: str = "") -> int:
    return sum(
        process.alive and channel in process.channels and (not priority or priority in process.priorities)
        for process in processes
    )


def _lane(
    row: _LaneRow, depths: Mapping[tuple[str, str], QueueDepth], processes: Sequence[ProcessState], now: datetime
) -> LaneState:
    channel, priority, due, oldest, later, taken, capped = row
    depth = depths.get((channel, priority))
    return LaneState(
        channel=channel,
        priority=priority,
        due=due,
        oldest_due_seconds=None if oldest is None else max(0.0, oldest),
        later=later,
        taken=taken,
        capped=capped,
        broker_depth=None if depth is None else depth.messages,
        broker_oldest_seconds=None if depth is None else _oldest(depth, processes, now),
        workers=_serving(processes, channel, priority),
    )


def _oldest(depth: QueueDepth, processes: Sequence[ProcessState], now: datetime) -> float | None:
    """How old a lane's oldest message is at most. A queue is first in, first out: what waits is younger than what was
    taken last, and than the last look that found nothing. While workers take, the wait of what they took is the answer
    itself."""
    if not depth.messages:
        return None
    bounds = [] if depth.empty_at is None else [(now - depth.empty_at).total_seconds()]
    lane = f"{depth.channel}.{depth.priority}"
    waits = []
    for process in processes:
        if (took := process.stats.get("lanes", {}).get(lane)) is None:
            continue
        wait, since = float(took["wait"]), float(took["ago"]) + process.age
        bounds.append(wait + since)
        if since <= STALE_SECONDS:
            waits.append(wait)
    return max(0.0, min([*bounds, *([max(waits)] if waits else [])])) if bounds else None
