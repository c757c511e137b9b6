"""Places where a process dies, or believes a wrong clock, when its environment says so.

`FAILPOINTS` is a comma-separated list of names, each with the number of the call that dies: `worker.after_send:2`; 1
when it is left out, 0 for every call. `POISON_FILE` names a file of delivery ids, one a line. `CLOCK_OFFSET` is in
seconds.
"""

import itertools
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

#: What `kill -9` would leave: no clean-up, no last word.
DIED = 9
#: Recipients at this domain kill the worker that is about to send to them.
POISON = "@poison.example"


def install(environment: Mapping[str, str]) -> None:
    for entry in filter(None, environment.get("FAILPOINTS", "").split(",")):
        name, _, number = entry.partition(":")
        _POINTS[name](_Fuse(int(number or 1)))
    if path := environment.get("POISON_FILE"):
        _poisoned_claim(Path(path))
    if offset := float(environment.get("CLOCK_OFFSET", 0)):
        from tests.faults import clock

        clock.shift(offset)


class _Fuse:
    """Dies at the n-th call; 0: at each."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._calls = itertools.count(1)

    def burn(self) -> None:
        if next(self._calls) == self._number or not self._number:
            die()


def die() -> None:
    sys.stderr.write(f"failpoint: process {os.getpid()} dies at {time.time():.3f}\n")
    sys.stderr.flush()
    os._exit(DIED)


def _before_send(fuse: _Fuse) -> None:
    from notifications.providers.simulated import SimulatedProvider

    send = SimulatedProvider.send

    async def dying(self: Any, messages: Any) -> Any:
        fuse.burn()
        return await send(self, messages)

    SimulatedProvider.send = dying  # type: ignore[method-assign]


def _after_send(fuse: _Fuse) -> None:
    from notifications.providers.simulated import SimulatedProvider

    send = SimulatedProvider.send

    async def dying(self: Any, messages: Any) -> Any:
        outcomes = await send(self, messages)
        fuse.burn()
        return outcomes

    SimulatedProvider.send = dying  # type: ignore[method-assign]


def _poisoned_address(_fuse: _Fuse) -> None:
    from notifications.providers.simulated import SimulatedProvider

    send = SimulatedProvider.send

    async def dying(self: Any, messages: Any) -> Any:
        if any(message.address.endswith(POISON) for message in messages):
            die()
        return await send(self, messages)

    SimulatedProvider.send = dying  # type: ignore[method-assign]


def _poisoned_claim(path: Path) -> None:
    from core.ids import uuid
    from notifications.services.tracking import DeliveryTracker

    claim = DeliveryTracker.claim

    def dying(self: Any, deliveries: Any, **lane: str) -> Any:
        poison = set(path.read_text().split()) if path.exists() else set()
        if poison.intersection(str(uuid(key)) for key in deliveries):
            die()
        return claim(self, deliveries, **lane)

    DeliveryTracker.claim = dying  # type: ignore[method-assign]


def _after_confirm(fuse: _Fuse) -> None:
    from notifications.messaging.publisher import RabbitPublisher

    publish = RabbitPublisher.publish

    def dying(self: Any, messages: Any) -> Any:
        taken = publish(self, messages)
        if messages:
            fuse.burn()
        return taken

    RabbitPublisher.publish = dying  # type: ignore[method-assign]


def _after_commit(fuse: _Fuse) -> None:
    from notifications.services import idempotency

    once = idempotency.once

    def dying(*args: Any, **kwargs: Any) -> Any:
        answer = once(*args, **kwargs)
        fuse.burn()
        return answer

    idempotency.once = dying
    _after_group_commit(fuse)


def _after_group_commit(fuse: _Fuse) -> None:
    from notifications.services.group_commit import GroupCommit

    take = GroupCommit._take

    def dying(self: Any, calls: Any) -> None:
        take(self, calls)
        fuse.burn()

    GroupCommit._take = dying  # type: ignore[method-assign]


_POINTS: dict[str, Callable[[_Fuse], None]] = {
    "api.after_commit": _after_commit,
    "relay.after_confirm": _after_confirm,
    "worker.before_send": _before_send,
    "worker.after_send": _after_send,
    "worker.poisoned": _poisoned_address,
}
