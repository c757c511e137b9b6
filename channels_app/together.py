"""Questions of many sockets, asked together: one thread and one statement for all that wait.

The first is worked on at once; what comes meanwhile waits, and is then worked on in one go. So one alone waits for
nothing, and when everybody comes back at the same time the database answers hundreds at a time.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from channels_app.threads import in_thread

Q = TypeVar("Q")
A = TypeVar("A")

#: Questions in one go: someone's wait for the answers of others stays in the tens of milliseconds.
MAX_TOGETHER = 100


class Together(Generic[Q, A]):
    """Belongs to one event loop. `work` runs on a thread; it gives one answer per question, in order, and what it
    raises is raised to all who asked."""

    def __init__(self, work: Callable[[Sequence[Q]], Sequence[A]]) -> None:
        self._work = work
        self._waiting: list[tuple[Q, asyncio.Future[A]]] = []
        self._running: asyncio.Task[None] | None = None

    async def ask(self, question: Q) -> A:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[A] = loop.create_future()
        self._waiting.append((question, answer))
        if self._running is None:
            self._running = loop.create_task(self._run())
        return await answer

    async def _run(self) -> None:
        try:
            while self._waiting:
                asked, self._waiting = self._waiting[:MAX_TOGETHER], self._waiting[MAX_TOGETHER:]
                await self._answer([(question, future) for question, future in asked if not future.done()])
        finally:
            self._running = None

    async def _answer(self, asked: Sequence[tuple[Q, "asyncio.Future[A]"]]) -> None:
        """Whoever has gone meanwhile (its future is cancelled) is passed over."""
        try:
            answers = await in_thread(self._work, [question for question, _ in asked])
        except Exception as error:
            for _, future in asked:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), answer in zip(asked, answers, strict=True):
            if not future.done():
                future.set_result(answer)
