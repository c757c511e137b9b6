"""Hits on their way to the lane: durable when PostgreSQL is there, kept while it is away, never in anybody's way."""

import threading
import time
from collections.abc import Sequence

import pytest
from django.db import OperationalError

from analytics.engagement import hits
from analytics.engagement.hits import PER_MINUTE, HitLog, Restraint
from core import ids
from notifications.choices import EventType
from notifications.services.events_lane import Incoming, LaneFull


class Lane:
    """Stands in for the events lane: takes what it is given, fails or hangs when told to."""

    def __init__(self) -> None:
        self.batches: list[list[Incoming]] = []
        self.error: Exception | None = None
        self.open = threading.Event()
        self.open.set()

    def put(self, events: Sequence[Incoming]) -> None:
        self.open.wait(10)
        if self.error is not None:
            raise self.error
        self.batches.append(list(events))

    @property
    def taken(self) -> list[Incoming]:
        return [hit for batch in self.batches for hit in batch]


@pytest.fixture
def lane(monkeypatch: pytest.MonkeyPatch) -> Lane:
    monkeypatch.setattr(hits, "PAUSE", 0.01)
    return Lane()


def hit(key: bytes | None = None) -> Incoming:
    return Incoming(type=EventType.CLICKED, origin="link", delivery_id=ids.uuid(key or ids.keys(1)[0]))


def until(condition) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_hit_that_was_noted_is_on_the_lane(lane):
    one = hit()

    assert HitLog(lane.put).note(one)

    assert lane.taken == [one]


def test_hits_that_come_while_one_is_put_are_put_together(lane):
    log, crowd = HitLog(lane.put), [hit() for _ in range(20)]
    lane.open.clear()
    threads = [threading.Thread(target=log.note, args=(one,)) for one in crowd]
    for thread in threads:
        thread.start()
    until(lambda: log.waiting == 20)
    lane.open.set()
    for thread in threads:
        thread.join()

    until(lambda: len(lane.taken) == 20)
    assert len(lane.batches) <= 2


@pytest.mark.parametrize("error", [OperationalError(), LaneFull("full")])
def test_while_the_lane_is_away_hits_wait_and_nobody_waits_for_them(lane, error):
    log, crowd = HitLog(lane.put), [hit() for _ in range(50)]
    lane.error = error
    assert not log.note(crowd[0])

    began = time.monotonic()
    assert not any(log.note(one) for one in crowd[1:])
    assert time.monotonic() - began < hits.PATIENCE  # all of them together

    lane.error = None
    until(lambda: lane.taken == crowd)
    assert log.note(hit())


def test_a_lane_that_hangs_costs_the_first_some_patience_and_the_next_none(lane):
    log = HitLog(lane.put)
    lane.open.clear()

    began = time.monotonic()
    log.note(hit())
    assert time.monotonic() - began < hits.PATIENCE + 1
    began = time.monotonic()
    log.note(hit())
    assert time.monotonic() - began < hits.PATIENCE

    lane.open.set()
    until(lambda: len(lane.taken) == 2)


def test_memory_is_bounded(lane, monkeypatch):
    monkeypatch.setattr(hits, "MAX_WAITING", 5)
    log = HitLog(lane.put)
    lane.error = OperationalError()
    before = hits._HITS.value("link", "lost")

    for _ in range(8):
        log.note(hit())

    assert log.waiting == 5
    assert hits._HITS.value("link", "lost") == before + 3


def test_a_hit_that_breaks_something_does_not_stop_the_others(lane):
    log = HitLog(lane.put)
    lane.error = ValueError("https://x.example/secret")
    log.note(hit())
    until(lambda: log.waiting == 0)
    lane.error = None

    assert log.note(hit())


def test_one_message_cannot_fill_the_lane():
    restraint, key = Restraint(), ids.keys(1)[0]

    assert sum(restraint.allows(key) for _ in range(PER_MINUTE * 3)) == PER_MINUTE
    assert restraint.allows(ids.keys(1)[0])
