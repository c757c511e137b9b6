"""What the broker has handed to this process and no work thread has taken yet."""

import random
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from notifications.messaging.base import WorkMessage
from notifications.messaging.connection import Link
from notifications.messaging.fairness import Turns


@dataclass(frozen=True, slots=True)
class Delivered:
    """A message in hand and the link it must be settled on; on any other its tag means nothing."""

    message: WorkMessage
    link: Link
    tag: int
    returns: int = 0  # how often it was handed out before
    arrived: float = field(default_factory=time.monotonic)


class Shelf:
    """A short queue per priority, thread-safe. Its length is bounded by the prefetch of each lane."""

    def __init__(self, priorities: Sequence[str]) -> None:
        self._lanes: dict[str, deque[Delivered]] = {priority: deque() for priority in priorities}
        self._ready = threading.Condition()
        self._turns = Turns()

    def put(self, item: Delivered) -> None:
        """First in, first out; but one that came back is put in at random among its lane.

        When a worker dies, the broker counts a return for every message it held. If the same one came first each time,
        what stands behind it would be counted down with it; in random order its neighbours get past it.
        """
        with self._ready:
            lane = self._lanes[item.message.priority]
            if item.returns:
                lane.insert(random.randint(0, len(lane)), item)
            else:
                lane.append(item)
            self._ready.notify()

    def take(self, timeout: float) -> Delivered | None:
        """The next one to work on: of the highest priority, or now and then of the lane that has waited longest."""
        with self._ready:
            if not self._ready.wait_for(lambda: any(self._lanes.values()), timeout):
                return None
            waiting = [lane for lane in self._lanes.values() if lane]
            lane = min(waiting, key=lambda lane: lane[0].arrived) if self._turns.fair() else waiting[0]
            return lane.popleft()

    def clear(self) -> list[Delivered]:
        """Take everything off at once."""
        with self._ready:
            items = [item for lane in self._lanes.values() for item in lane]
            for lane in self._lanes.values():
                lane.clear()
            self._ready.notify_all()
            return items

    def drop(self, link: Link) -> None:
        """Forget what came over a link that is lost: the broker hands it out again."""
        with self._ready:
            for priority, lane in self._lanes.items():
                self._lanes[priority] = deque(item for item in lane if item.link is not link)
