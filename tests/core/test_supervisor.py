"""The supervisor, from outside: a real parent with real children, watched through the files that they write."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core import supervisor

ROOT = Path(__file__).resolve().parent.parent.parent


def until(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        with Path(f"/proc/{pid}/stat").open() as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Run a script whose children note themselves in `tmp_path`; `note(name, text)` and `pids(name)` are at hand."""
    started: list[subprocess.Popen[str]] = []
    prelude = f"""
        import os, random, signal, sys, time
        from pathlib import Path
        from core import supervisor
        here = Path({str(tmp_path)!r})
        def note(name, text):
            with (here / name).open("a") as file:
                file.write(f"{{text}}\\n")
        def until_told(name):
            def child():
                told = []
                signal.signal(signal.SIGTERM, lambda *a: told.append(1))
                note(name, os.getpid())
                while not told:
                    time.sleep(0.02)
                note(name + ".stopped", len(told))
            return child
    """

    def go(body: str) -> subprocess.Popen[str]:
        script = textwrap.dedent(prelude) + textwrap.dedent(body)
        process = subprocess.Popen(
            [sys.executable, "-c", script],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
        )
        started.append(process)
        return process

    yield go
    for process in started:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def lines(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


def test_a_dead_child_is_started_again(start, tmp_path):
    # Given a child that dies at once
    start("""
        supervisor.BACKOFF_SECONDS = 0.05
        supervisor.run({'a': lambda: note('a', os.getpid())}, drain_seconds=5)
    """)
    # Then it comes back, each time as a new process
    until(lambda: len(lines(tmp_path / "a")) >= 3)
    assert len(set(lines(tmp_path / "a"))) >= 3


def test_the_death_of_one_child_leaves_the_others_alone(start, tmp_path):
    start("""
        supervisor.BACKOFF_SECONDS = 0.05
        supervisor.run({'a': until_told('a'), 'b': until_told('b')}, drain_seconds=5)
    """)
    until(lambda: bool(lines(tmp_path / "a")) and bool(lines(tmp_path / "b")))
    # When one is killed
    os.kill(int(lines(tmp_path / "a")[0]), signal.SIGKILL)
    # Then it alone is started again
    until(lambda: len(lines(tmp_path / "a")) == 2)
    assert len(lines(tmp_path / "b")) == 1


def test_the_waits_between_restarts_grow_to_a_bound():
    assert [round(supervisor.backoff(n), 3) <= 0.5 * 2 ** (n - 1) for n in (1, 2, 3)] == [True] * 3
    assert all(15.0 <= supervisor.backoff(n) <= 30.0 for n in (7, 20, 10_000))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_is_passed_on_once_and_ends_with_zero(start, tmp_path, number):
    parent = start("sys.exit(supervisor.run({'a': until_told('a'), 'b': until_told('b')}, drain_seconds=10))")
    until(lambda: bool(lines(tmp_path / "a")) and bool(lines(tmp_path / "b")))
    # When the parent is told to stop
    parent.send_signal(number)
    # Then each child is told once, and nothing is left
    assert parent.wait(10) == 0
    assert lines(tmp_path / "a.stopped") == ["1"]
    assert lines(tmp_path / "b.stopped") == ["1"]
    assert not alive(int(lines(tmp_path / "a")[0]))


def test_a_child_that_does_not_stop_is_killed_and_named(start, tmp_path):
    # Given a child that ignores SIGTERM, with a child of its own
    parent = start("""
        def deaf():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            if os.fork():
                note('deaf', os.getpid())
            else:
                note('grandchild', os.getpid())
            time.sleep(600)
        sys.exit(supervisor.run({'deaf-one': deaf}, drain_seconds=0.3))
    """)
    until(lambda: bool(lines(tmp_path / "deaf")) and bool(lines(tmp_path / "grandchild")))
    began = time.monotonic()
    parent.terminate()
    # Then the parent waits for the drain, no longer, kills both and says whom
    output, _ = parent.communicate(timeout=10)
    assert parent.returncode == 0
    assert 0.3 <= time.monotonic() - began < 5
    assert "deaf-one" in output
    assert not alive(int(lines(tmp_path / "deaf")[0]))
    until(lambda: not alive(int(lines(tmp_path / "grandchild")[0])))


def test_a_second_stop_does_not_wait_for_the_drain(start, tmp_path):
    parent = start("""
        def deaf():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            note('deaf', os.getpid())
            time.sleep(600)
        sys.exit(supervisor.run({'deaf': deaf}, drain_seconds=60))
    """)
    until(lambda: bool(lines(tmp_path / "deaf")))
    # When it is told to stop, by two signals at once as terminals do, it waits
    parent.send_signal(signal.SIGINT)
    parent.terminate()
    time.sleep(1.2)
    assert parent.poll() is None
    # Until somebody who has no patience tells it again
    parent.terminate()
    assert parent.wait(5) == 0


def test_children_die_with_a_killed_parent(start, tmp_path):
    parent = start("supervisor.run({'a': until_told('a')}, drain_seconds=5)")
    until(lambda: bool(lines(tmp_path / "a")))
    parent.kill()
    parent.wait()
    until(lambda: not alive(int(lines(tmp_path / "a")[0])))


def test_children_draw_different_random_numbers_and_ids(start, tmp_path):
    # Given a parent that has drawn from both generators already
    start("""
        from core.ids import uuid7
        random.seed(7); random.random(); uuid7()
        def draw(name):
            def child():
                note('numbers', random.random())
                note('ids', uuid7().hex[-16:])
                time.sleep(600)
            return child
        supervisor.run({'a': draw('a'), 'b': draw('b')}, drain_seconds=1)
    """)
    until(lambda: len(lines(tmp_path / "ids")) == 2)
    assert len(set(lines(tmp_path / "numbers"))) == 2
    assert len(set(lines(tmp_path / "ids"))) == 2


def test_a_child_does_not_share_the_parents_database_connection(start, tmp_path):
    # Given a parent with an open connection, in the maintenance database that always exists
    start("""
        import django
        django.setup()
        from django.db import connection
        def backend():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                return cursor.fetchone()[0]
        note('backends', backend())
        def child():
            note('backends', backend())
            time.sleep(600)
        supervisor.run({'a': child, 'b': child}, drain_seconds=1)
    """)
    until(lambda: len(lines(tmp_path / "backends")) == 3)
    assert len(set(lines(tmp_path / "backends"))) == 3
