"""A stop that is asked for is never lost."""

import os
import signal
from collections.abc import Iterator

import pytest

from core.shutdown import Shutdown


@pytest.fixture(autouse=True)
def own_handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_who_wants_to_know_of_a_stop_is_told():
    shutdown, told = Shutdown(), []
    shutdown.on_stop(lambda: told.append(1))
    os.kill(os.getpid(), signal.SIGTERM)
    assert shutdown.wait(5.0)
    assert told == [1]


def test_a_stop_that_came_while_the_process_was_starting_is_told_to_who_asks_later():
    # Given a worker that is told to stop before it has its consumer
    shutdown, told = Shutdown(), []
    os.kill(os.getpid(), signal.SIGTERM)
    assert shutdown.wait(5.0)
    # When it is ready to be told
    shutdown.on_stop(lambda: told.append(1))
    # Then it is: it would wait for ever otherwise
    assert told == [1]
