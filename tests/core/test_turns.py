"""Shared by many or held by one, and nobody waits for ever."""

import threading
import time

from core.turns import SharedLock


def test_many_share_it_and_one_holds_it_alone() -> None:
    lock, inside, seen = SharedLock(), [], []

    def use(alone: bool) -> None:
        with lock.held(alone=alone):
            inside.append(alone)
            seen.append(tuple(inside))
            time.sleep(0.01)
            inside.remove(alone)

    threads = [threading.Thread(target=use, args=(n % 5 == 0,)) for n in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert len(seen) == 50
    assert all(together == (True,) for together in seen if True in together)
    assert max(map(len, seen)) > 1


def test_who_asks_for_it_alone_is_not_kept_waiting_by_newcomers() -> None:
    lock, stop, got = SharedLock(), threading.Event(), threading.Event()

    def share() -> None:
        while not stop.is_set():
            with lock.held(alone=False):
                time.sleep(0.005)

    def alone() -> None:
        with lock.held(alone=True):
            got.set()

    sharers = [threading.Thread(target=share) for _ in range(4)]
    for thread in sharers:
        thread.start()
    loner = threading.Thread(target=alone)
    loner.start()
    try:
        assert got.wait(2)
    finally:
        stop.set()
        for thread in (*sharers, loner):
            thread.join(5)
