"""How the installation stands: lanes, queues and processes, as everybody reads them from PostgreSQL."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.db.models.functions import Now

from core import ids
from notifications import beats, depths, live
from notifications.lanes import CHANNELS
from notifications.models import OutboxMessage, ProcessBeat, QueueDepth

pytestmark = pytest.mark.django_db


def waiting(
    count: int = 1, *, channel: str = "email", priority: str = "normal", due: float = 0.0, takes: int = 0
) -> None:
    """A row of the outbox, due so many seconds from now."""
    OutboxMessage.objects.create(
        channel=channel,
        priority=priority,
        delivery_ids=[uuid4() for _ in range(count)],
        due_at=Now() + timedelta(seconds=due),
        takes=takes,
    )


def beating(kind: str = "worker", *, age: float = 0.0, **stats: object) -> None:
    """A process whose last beat is so many seconds old."""
    moment = Now() - timedelta(seconds=age)
    ProcessBeat.objects.create(kind=kind, name=kind, host="box", pid=1, stats=stats, beat_at=moment)


def looked(messages: int, *, ago: float = 0.0, empty: float | None = None, lane: str = "email.normal") -> None:
    """The broker's queue was looked at so many seconds ago, and last found empty so many seconds ago."""
    channel, _, priority = lane.partition(".")
    QueueDepth.objects.create(
        channel=channel,
        priority=priority,
        messages=messages,
        at=Now() - timedelta(seconds=ago),
        empty_at=None if empty is None else Now() - timedelta(seconds=empty),
    )


def email() -> live.LaneState:
    return live.state().lane("email", "normal")


# --- the outbox -------------------------------------------------------------------------------------------------------


def test_a_lane_tells_what_is_due_how_long_and_what_waits_for_later():
    # Given deliveries that are due, that wait, and that a worker has in hand
    waiting(3, due=-40)
    waiting(2, due=-10)
    waiting(7, due=3600)
    waiting(5, due=100, takes=1)
    # When the state is read
    lane = email()
    # Then each is counted where it belongs, in deliveries
    assert (lane.due, lane.later, lane.taken, lane.capped) == (5, 7, 5, False)
    assert lane.oldest_due_seconds == pytest.approx(40, abs=3)


def test_nothing_due_has_no_age():
    waiting(1, due=60)
    assert email().oldest_due_seconds is None
    assert live.state().outbox_lag_seconds == 0.0


def test_the_lag_of_the_outbox_is_that_of_its_slowest_lane():
    waiting(due=-5, channel="sms")
    waiting(due=-90, channel="push")
    assert live.state().outbox_lag_seconds == pytest.approx(90, abs=3)


def test_counting_stops_at_a_bound_and_says_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(live, "COUNTED", 3)
    for _ in range(5):
        waiting(due=-1)
    assert (email().due, email().capped) == (3, True)


def test_every_lane_is_there_though_nothing_waits():
    lanes = {(lane.channel, lane.priority) for lane in live.state().lanes}
    assert {("email", "critical"), ("in_app", "low"), ("push", "high"), ("sms", "normal")} <= lanes


# --- the broker -------------------------------------------------------------------------------------------------------


def test_without_a_broker_its_queues_are_unknown_and_not_empty():
    looked(4)
    assert (email().broker_depth, email().broker_oldest_seconds) == (None, None)
    assert live.state().depths_known is False


@pytest.fixture
def broker(settings) -> None:
    settings.BROKER_URL = "amqp://never.asked"


def test_what_was_looked_at_long_ago_is_not_known(broker: None):
    looked(4, ago=live.DEPTHS_STALE_SECONDS + 5)
    assert email().broker_depth is None
    assert live.state().depths_known is False


def test_a_queue_nobody_takes_from_ages_from_the_last_look_that_found_it_empty(broker: None):
    looked(4, empty=50)
    assert email().broker_oldest_seconds == pytest.approx(50, abs=3)


def test_while_workers_take_the_age_is_how_long_what_they_took_had_waited(broker: None):
    looked(4, empty=500)
    beating(age=2, channels=["email"], lanes={"email.normal": {"wait": 7.5, "ago": 1.0}})
    assert email().broker_oldest_seconds == pytest.approx(7.5)


def test_when_workers_stop_taking_the_age_grows_from_what_was_taken_last(broker: None):
    # Given a worker that took a message a minute ago, after 5 seconds' wait, and none since
    looked(4, empty=500)
    beating(age=1, channels=["email"], lanes={"email.normal": {"wait": 5.0, "ago": 60.0}})
    # Then what waits may be as old as that message would be
    assert email().broker_oldest_seconds == pytest.approx(66, abs=3)


def test_what_waits_is_not_older_than_the_last_empty_queue_though_nothing_was_taken_for_hours(broker: None):
    looked(1, empty=6)
    beating(age=1, channels=["email"], lanes={"email.normal": {"wait": 0.1, "ago": 7200.0}})
    assert email().broker_oldest_seconds == pytest.approx(6, abs=3)


def test_an_empty_queue_has_no_oldest_and_one_nobody_knows_the_past_of_has_no_age(broker: None):
    looked(0, empty=0)
    looked(9, lane="sms.low")
    assert email().broker_oldest_seconds is None
    assert live.state().lane("sms", "low").broker_oldest_seconds is None


def test_a_look_remembers_when_a_queue_was_empty():
    # Given a queue that was empty, and fills
    depths.write({("email", "normal"): 0})
    empty_at = QueueDepth.objects.get(channel="email").empty_at
    depths.write({("email", "normal"): 12})
    # Then how much waits is known, and since when at most
    row = QueueDepth.objects.get(channel="email")
    assert (row.messages, row.empty_at) == (12, empty_at)


# --- processes --------------------------------------------------------------------------------------------------------


def test_a_process_is_alive_until_its_beats_fail_to_come():
    beating("relay", age=3)
    beating("events", age=live.STALE_SECONDS + 1)
    state = live.state()
    assert {process.kind: process.alive for process in state.processes} == {"relay": True, "events": False}
    assert (state.alive("relay"), state.alive("events"), state.alive("web")) == (1, 0, 0)


def test_workers_are_counted_for_the_lanes_they_serve():
    beating(channels=["sms"], priorities=["critical"])
    beating(channels=["sms"], priorities=["critical", "high", "normal", "low"])
    beating(channels=["sms"], priorities=["critical"], age=60)
    state = live.state()
    assert state.workers_alive == {**dict.fromkeys(CHANNELS, 0), "sms": 2}
    assert (state.lane("sms", "critical").workers, state.lane("sms", "low").workers) == (2, 1)


def test_a_beat_is_one_row_that_tells_what_the_process_is():
    # Given a process that beats twice
    heart = beats.Heart("worker", "worker-email-2", lambda: {"channels": ["email"], "lanes": {}})
    heart.beat()
    heart.beat()
    # Then it is known by one row, with its memory and CPU
    (process,) = live.state().processes
    assert (process.name, process.channels, process.alive) == ("worker-email-2", ("email",), True)
    assert process.stats["memory"] > 1_000_000
    assert process.stats["cpu"] > 0


def test_the_lost_are_forgotten_after_an_hour():
    beating(age=beats.KEEP_SECONDS - 60)
    beating(age=beats.KEEP_SECONDS + 60)
    beats.prune()
    assert ProcessBeat.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_process_is_present_for_as_long_as_it_runs_and_gone_at_once_when_it_ends():
    from tests.notifications.messaging.harness import wait_for

    with beats.present("campaigns"):
        wait_for(lambda: live.state().alive("campaigns") == 1, what="it is known")
    assert live.state().processes == ()


@pytest.mark.django_db(transaction=True)
def test_a_beat_that_cannot_be_written_hurts_nobody(capfd: pytest.CaptureFixture[str]):
    # Given a table that is not there (yet): the release is newer than the database
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE notifications_processbeat RENAME TO gone")
    try:
        # When a process comes and goes
        with beats.present("events"):
            pass
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE gone RENAME TO notifications_processbeat")
    # Then it did so, and the log says once that nobody knows of it
    assert ProcessBeat.objects.count() == 0


def test_how_long_a_message_waited_is_told_by_its_id():
    waits = beats.LaneWaits()
    waits.took("email", "normal", ids.uuid7())
    waits.took("sms", "low", uuid4())  # of the database transport: it says nothing of time
    told = waits.stats()
    assert told.keys() == {"email.normal"}
    assert told["email.normal"]["wait"] < 1
