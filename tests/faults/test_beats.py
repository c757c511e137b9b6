"""Who lives and who does not, as everybody reads it, when processes are killed and frozen."""

import pytest

from notifications import live
from tests.faults.programs import wait_until
from tests.faults.stack import Stack

pytestmark = pytest.mark.django_db(transaction=True)

#: Until a silence is noticed, on a busy machine.
NOTICED = live.STALE_SECONDS + 20.0


def alive(channel: str = "email") -> int:
    return live.state().workers_alive[channel]


def test_a_frozen_worker_counts_as_lost_and_lives_again_when_it_goes_on(stack: Stack):
    # Given a worker
    worker = stack.worker("email")
    wait_until(lambda: alive() == 1, 60, "its first beat")
    # When it stands still
    worker.freeze()
    # Then within half a minute nobody serves its lanes, and which one it was is known
    wait_until(lambda: alive() == 0, NOTICED, "its silence is noticed")
    assert [(process.name, process.alive) for process in live.state().processes] == [("worker-email", False)]
    # And when it goes on, it is the same one
    worker.thaw()
    wait_until(lambda: alive() == 1, NOTICED, "it beats again")
    assert len(live.state().processes) == 1


def test_a_killed_worker_counts_as_lost_and_one_that_was_told_to_stop_does_not(stack: Stack):
    killed, stopped = stack.worker("email"), stack.worker("email")
    wait_until(lambda: alive() == 2, 60, "their first beats")

    stopped.stop()
    assert alive() == 1
    assert len(live.state().processes) == 1

    killed.kill()
    wait_until(lambda: alive() == 0, NOTICED, "its silence is noticed")
    assert live.state().lane("email", "critical").workers == 0
