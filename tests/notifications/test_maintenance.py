"""What is done from time to time is done in turns: nobody starves, and a stop waits for a piece of work."""

import signal
import time
from collections.abc import Iterator

import pytest
from django.db import OperationalError

from notifications import maintenance
from notifications.errors import BrokerUnavailable
from notifications.maintenance import Maintenance, Task


class Work:
    """A task of so many pieces that says when it was worked on."""

    def __init__(self, pieces: int, seconds: float = 0.0) -> None:
        self.pieces, self.seconds = pieces, seconds
        self.done = 0
        self.starts = 0

    def __call__(self) -> Iterator[None]:
        self.starts += 1
        for _ in range(self.pieces):
            time.sleep(self.seconds)
            self.done += 1
            yield


def tasks(*works: Work, stopping=lambda: False) -> Maintenance:
    made = Maintenance(stopping=stopping)
    made.tasks = [Task(str(n), work, every=60.0) for n, work in enumerate(works)]
    return made


@pytest.fixture(autouse=True)
def short_turns(monkeypatch):
    monkeypatch.setattr(maintenance, "TURN", 0.05)


def test_a_long_task_lets_the_others_have_their_turn():
    long, short = Work(1000, seconds=0.01), Work(3)

    assert tasks(long, short).step() is True

    assert 1 <= long.done <= 20
    assert short.done == 3


def test_the_next_turn_goes_on_where_the_last_one_ended():
    long = Work(20, seconds=0.01)
    several = tasks(long)

    while several.step():
        pass

    assert (long.done, long.starts) == (20, 1)
    assert several.tasks[0].due > time.monotonic() + 50


def test_what_is_done_rests_until_it_is_due_again():
    short = Work(1)
    several = tasks(short)

    assert several.step() is False
    assert several.step() is False

    assert short.done == 1


def test_a_stop_waits_for_the_piece_at_hand_alone():
    asked = False
    long, later = Work(1000), Work(1)

    def stopping() -> bool:
        return asked

    several = tasks(long, later, stopping=stopping)

    def piece() -> Iterator[None]:
        nonlocal asked
        for _ in range(3):
            yield
        asked = True
        yield
        raise AssertionError("went on after the stop")

    several.tasks.insert(0, Task("stopped", piece, every=60.0))
    several.step()

    assert (long.done, later.done) == (0, 0)


@pytest.mark.parametrize(("every", "pause"), [(3600.0, maintenance.RETRY), (2.0, 2.0)])
@pytest.mark.django_db(transaction=True)
def test_a_busy_table_is_tried_again_before_the_hour_is_over(every, pause):
    def busy() -> Iterator[None]:
        raise OperationalError("canceling statement due to lock timeout")
        yield

    other = Work(1)
    several = tasks(other)
    several.tasks.insert(0, Task("busy", busy, every=every))

    several.step()

    assert other.done == 1
    assert several.tasks[0].due == pytest.approx(time.monotonic() + pause, abs=1)


@pytest.mark.django_db(transaction=True)
def test_a_server_that_stays_away_is_asked_less_often_and_soon_again_once_it_is_back():
    away = True

    def reaches() -> Iterator[None]:
        if away:
            raise BrokerUnavailable("no answer")
        yield

    several = tasks()
    task = Task("reaches", reaches, every=2.0)
    several.tasks = [task]
    pauses = []
    for _ in range(6):
        task.due = 0.0
        several.step()
        pauses.append(round(task.due - time.monotonic()))
    away = False
    task.due = 0.0
    several.step()

    assert pauses == [2, 4, 8, 16, 30, 30]
    assert task.due == pytest.approx(time.monotonic() + 2, abs=1)


def test_a_task_that_fails_half_way_begins_anew_at_its_next_time():
    attempts = []

    def fails() -> Iterator[None]:
        attempts.append(len(attempts))
        yield
        raise RuntimeError("half way")

    several = tasks()
    several.tasks = [Task("fails", fails, every=60.0)]

    assert several.step() is False
    assert several.step() is False
    several.tasks[0].due = 0.0
    several.step()

    assert attempts == [0, 1]


@pytest.mark.django_db
def test_the_tasks_of_other_apps_run(settings, monkeypatch):
    called = []
    monkeypatch.setattr(maintenance, "import_string", lambda path: lambda: called.append(path))
    settings.MAINTENANCE_TASKS = {"some.app.purge": 7.0}

    Maintenance().step()

    assert called == ["some.app.purge"]


def test_the_command_stops_with_zero_when_asked_to(process_env):
    import subprocess
    import sys

    from django.conf import settings

    process = subprocess.Popen(
        [sys.executable, settings.BASE_DIR / "manage.py", "run_maintenance"],
        env={**process_env, "LOG_LEVEL": "INFO", "LOG_JSON": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert any("maintenance.started" in line for line in process.stderr)

    process.send_signal(signal.SIGTERM)

    assert process.wait(timeout=10) == 0
