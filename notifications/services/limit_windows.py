"""The arithmetic of `limit_scripts` in this process, for while Redis is away. Times are microseconds of any clock."""

import threading
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import NamedTuple

#: Buckets of a window. Each counts until all of it has left the window, which costs a limit a fiftieth of its number.
BUCKETS = 50
#: The longest that anyone is told to wait, in microseconds: whoever waits longer looks again, and a changed limit is
#: noticed by then.
LONGEST_WAIT = 900_000_000
#: Windows kept in this process before those that are empty are dropped: about a megabyte.
MAX_WINDOWS = 1_000


class Mode(IntEnum):
    """How a provider's window is asked: what is granted is used up; it is not, but what is left over stands in the
    line; or nothing is left behind at all."""

    USE = 0
    ROOM = 1
    LOOK = 2


class Frame(NamedTuple):
    """At most `cap` counted in `span`, which is BUCKETS times `width`."""

    cap: int
    span: int
    width: int


def frame(cap: int, seconds: float, *, slack: float = 0.0) -> Frame:
    """A window of that many seconds, and `slack` more during which what was granted may still be on its way."""
    width = round((seconds + slack) * 1_000_000) // BUCKETS
    return Frame(cap, width * BUCKETS, width)


class Window:
    """Counts by bucket. `lines`: per priority, until when what was put off already fills the time to come."""

    def __init__(self, span: int, width: int) -> None:
        self.span = span
        self.width = width
        self.now = 0
        self.total = 0
        self.counts: dict[int, int] = {}  # oldest first
        self.lines: dict[str, int] = {}

    def move(self, now: int) -> None:
        """To a later moment: what has left the window is forgotten."""
        self.now = max(now, self.now)
        first = (self.now - self.span) // self.width
        for bucket in [bucket for bucket in self.counts if bucket < first]:
            self.total -= self.counts.pop(bucket)

    def add(self, count: int) -> None:
        if count > 0:
            bucket = self.now // self.width
            self.counts[bucket] = self.counts.get(bucket, 0) + count
            self.total += count

    def give_back(self, count: int) -> None:
        """Out of the oldest: the rest then counts for too long rather than too short."""
        for bucket in list(self.counts):
            taken = min(count, self.counts[bucket])
            self.counts[bucket] -= taken
            self.total -= taken
            count -= taken

    def until_free(self, need: int) -> int:
        """Until `need` of what is counted have left."""
        if need <= 0:
            return 0
        left = 0
        for bucket, count in self.counts.items():
            left += count
            if left >= need:
                return self._leaves(bucket)
        return self.span + self.width

    def until_empty(self) -> int:
        return self._leaves(max(self.counts)) if self.total else 0

    def _leaves(self, bucket: int) -> int:
        return (bucket + 1) * self.width + self.span - self.now


class Windows:
    """The windows of this process, by name. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._windows: dict[str, Window] = {}

    def provider(self, frames: Mapping[str, Frame], n: int, line: str, now: int, mode: Mode = Mode.USE) -> list[int]:
        """As the script PROVIDER: [granted, wait of each window or -1 where it had room for all]."""
        with self._lock:
            windows = [(self._at(name, frame, now), frame.cap) for name, frame in frames.items()]
            rooms = [max(0, cap - window.total) for window, cap in windows]
            granted = min(n, *rooms)
            answer = [granted]
            for (window, cap), room in zip(windows, rooms, strict=True):
                window.add(granted if mode == Mode.USE else 0)
                answer.append(-1 if room >= n else _queue(window, cap, n - granted, line, mode))
            return answer

    def api_key(self, name: str, frame: Frame, n: int, counted: int, now: int) -> list[int]:
        """As the script API_KEY: [allowed, remaining, until it is empty, until n fit]."""
        with self._lock:
            window = self._at(name, frame, now)
            allowed, retry = 1, 0
            if window.total + n - counted <= frame.cap:
                window.add(n - counted)
            else:
                window.give_back(counted)
                allowed, retry = 0, window.until_free(window.total + n - frame.cap)
            return [allowed, max(0, frame.cap - window.total), window.until_empty(), retry]

    def note(self, frames: Mapping[str, Frame], count: int, now: int) -> None:
        """Count what Redis granted to this process, so that its own share is not granted on top when Redis goes."""
        with self._lock:
            for name, frame in frames.items():
                self._at(name, frame, now).add(count)

    def _at(self, name: str, frame: Frame, now: int) -> Window:
        window = self._windows.get(name)
        if window is None:
            self._sweep(now)
            window = self._windows[name] = Window(frame.span, frame.width)
        window.move(now)
        return window

    def _sweep(self, now: int) -> None:
        if len(self._windows) < MAX_WINDOWS:
            return
        for name, window in list(self._windows.items()):
            window.move(now)
            if not window.total:
                del self._windows[name]


def _queue(window: Window, cap: int, count: int, line: str, mode: Mode) -> int:
    """Put `count` at the end of the line; the wait of the first of them."""
    furthest = window.now + LONGEST_WAIT
    free = window.now + window.until_free(window.total - cap + 1)
    turn = min(max(free, window.lines.get(line, 0)), furthest)
    if mode != Mode.LOOK:
        window.lines[line] = min(int(turn + count * (window.span + window.width) / cap), furthest)
    return turn - window.now


def lowest(answers: Sequence[int], frames: Sequence[Frame]) -> float:
    """Of the windows that had no room for all, what the slowest lets through in a second; 0.0 when all had."""
    rates = [
        frame.cap * 1_000_000 / (frame.span + frame.width)
        for wait, frame in zip(answers, frames, strict=True)
        if wait >= 0
    ]
    return min(rates, default=0.0)
