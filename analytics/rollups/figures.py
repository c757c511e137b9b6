"""What the counters answer with: tallies, series and histograms. Values alone; no database here."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from notifications import latency
from notifications.choices import MACHINE_CODES, EventType, FailureCode, HoldReason, SkipReason
from notifications.models.dead_letter import DeadCause

_WORDS: dict[str, str] = {
    word: str(label)
    for vocabulary in (EventType, DeadCause, SkipReason, HoldReason, FailureCode)
    for word, label in vocabulary.choices
} | MACHINE_CODES

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Where:
    """Which counts: those of a source, a category, a channel or a provider; what is left out is not asked for.

    "accepted" has no channel, and neither it nor "queued" nor a skip at acceptance has a provider: asked for by one,
    they are nought.
    """

    source: str = ""
    category_id: int | None = None
    channel: str = ""
    provider: str = ""


EVERYTHING = Where()


@dataclass(frozen=True, slots=True)
class Tally:
    """How often an outcome happened on a channel, for a reason ("" where there is none)."""

    channel: str
    outcome: str
    reason: str
    count: int


class Tallies:
    """Tallies with the sums a page asks for."""

    def __init__(self, rows: Sequence[Tally]) -> None:
        self.rows = rows

    def total(self, *outcomes: str, channel: str = "") -> int:
        """All of these outcomes, on one channel or on all."""
        return sum(r.count for r in self.rows if r.outcome in outcomes and (not channel or r.channel == channel))

    def has(self, channel: str) -> bool:
        """Whether anything at all happened on a channel."""
        return any(row.channel == channel for row in self.rows)

    def reasons(self, *outcomes: str) -> list[dict[str, Any]]:
        """Why these outcomes came about, in words: [{"label", "count"}], the most frequent first. An outcome without a
        reason stands for itself."""
        found: dict[str, int] = {}
        for row in self.rows:
            if row.outcome in outcomes:
                label = _WORDS.get(row.reason) or _WORDS.get(row.outcome) or row.reason or row.outcome
                found[label] = found.get(label, 0) + row.count
        ranked = sorted(found.items(), key=lambda item: (-item[1], item[0]))
        return [{"label": label, "count": count} for label, count in ranked]


@dataclass(frozen=True, slots=True)
class Series(Generic[Value]):
    """Values over even steps: `at` is when each step begins, and each line has a value for every step."""

    step: timedelta
    at: list[datetime]
    lines: dict[str, list[Value]]


class Histogram:
    """Latencies by bucket (notifications.latency). Two add up with `+`."""

    def __init__(self, counts: Mapping[int, int] | None = None) -> None:
        """From how often each bucket was met, by its number."""
        self._counts = dict(sorted((counts or {}).items()))

    @classmethod
    def of(cls, labels: Iterable[tuple[str, int]]) -> "Histogram":
        """From (a bucket's name, how often)."""
        return cls({int(label): count for label, count in labels})

    def __add__(self, other: "Histogram") -> "Histogram":
        numbers = self._counts.keys() | other._counts.keys()
        return Histogram({n: self._counts.get(n, 0) + other._counts.get(n, 0) for n in numbers})

    @property
    def count(self) -> int:
        return sum(self._counts.values())

    def quantile(self, q: float) -> float | None:
        """The latency in seconds that the share `q` of messages did not exceed; None when there are none.

        Within a bucket they are taken to lie evenly, so the answer is off by a quarter at the very most, and mostly by
        a few percent. What lies in the last bucket took its lower edge, 30 hours, or longer.
        """
        rank = q * self.count
        before = 0
        for number, count in self._counts.items():
            if count and before + count >= rank:
                low, high = _edges(number)
                return low + (high - low) * max(0.0, rank - before) / count
            before += count
        return None

    def under(self, seconds: float) -> int:
        """How many took no longer than this, by whole buckets: the one that `seconds` lies in is not counted."""
        return sum(count for number, count in self._counts.items() if _edges(number)[1] <= seconds)


def _edges(number: int) -> tuple[float, float]:
    """A bucket's bounds in seconds."""
    low = latency.EDGES[number - 1].total_seconds() if number else 0.0
    return low, latency.EDGES[min(number, len(latency.EDGES) - 1)].total_seconds()
