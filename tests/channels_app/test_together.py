"""Questions that are asked together: how many go in one go, and who hears of a failure."""

import asyncio
import threading
from collections.abc import Sequence

import pytest

from channels_app import together
from channels_app.together import Together

pytestmark = pytest.mark.django_db(transaction=True)


class Scripted:
    """Doubles numbers; notes what came together. The first go waits until it is let go."""

    def __init__(self) -> None:
        self.goes: list[list[int]] = []
        self.release = threading.Event()

    def __call__(self, questions: Sequence[int]) -> list[int]:
        self.goes.append(list(questions))
        if len(self.goes) == 1:
            self.release.wait(5)
        if 13 in questions:
            raise OSError("thirteen")
        return [2 * one for one in questions]


async def _busy(asked: Together[int, int], work: Scripted) -> "asyncio.Future[int]":
    """One question that is being worked on."""
    first = asyncio.ensure_future(asked.ask(1))
    while not work.goes:  # noqa: ASYNC110  a thread notes it, which can set no event of the loop
        await asyncio.sleep(0.01)
    return first


async def test_what_comes_meanwhile_is_worked_on_in_one_go() -> None:
    work = Scripted()
    asked = Together(work)
    first = await _busy(asked, work)
    others = [asyncio.ensure_future(asked.ask(n)) for n in range(2, 10)]
    await asyncio.sleep(0)

    work.release.set()

    assert await asyncio.gather(first, *others) == [2 * n for n in range(1, 10)]
    assert work.goes == [[1], list(range(2, 10))]


async def test_one_go_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "MAX_TOGETHER", 3)
    work = Scripted()
    work.release.set()

    answers = await asyncio.gather(*map(Together(work).ask, range(8)))

    assert answers == [2 * n for n in range(8)]
    assert [len(go) for go in work.goes] == [3, 3, 2]


async def test_a_failure_is_told_to_all_of_its_go_and_the_next_goes_on() -> None:
    work = Scripted()
    asked = Together(work)
    first = await _busy(asked, work)
    together_with_it = [asyncio.ensure_future(asked.ask(n)) for n in (13, 14)]
    await asyncio.sleep(0)
    work.release.set()

    answers = await asyncio.gather(first, *together_with_it, return_exceptions=True)

    assert answers[0] == 2
    assert [type(one) for one in answers[1:]] == [OSError, OSError]
    assert await asked.ask(15) == 30


async def test_who_has_gone_is_not_asked_for() -> None:
    work = Scripted()
    asked = Together(work)
    first = await _busy(asked, work)
    gone, stays = (asyncio.ensure_future(asked.ask(n)) for n in (2, 3))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0)
    work.release.set()

    assert (await first, await stays) == (2, 6)
    assert work.goes == [[1], [3]]
