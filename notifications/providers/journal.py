"""The vendor's own book of calls, to hold ours against: what was accepted, what was refused, what came twice.

A line a message, tab-separated: delivery id (32 hexadecimal digits), attempt, provider, outcome ("accepted" or a
FailureCode), SMS segments (0 on other channels), and when the call arrived, in Unix seconds with microseconds. No
address, no content. A batch is one write to a file opened with O_APPEND, so several processes may share it.
"""

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from django.core.exceptions import ImproperlyConfigured

from core import ids

ACCEPTED = "accepted"
#: Delivery ids that `read_journal` names as accepted twice; the count goes on.
MAX_NAMED = 100


class Journal:
    """Appends to the file at `path`; makes it when it is not there. Raises ImproperlyConfigured when it cannot."""

    def __init__(self, path: str) -> None:
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise ImproperlyConfigured(f"The simulator's journal cannot be written: {error}") from error

    def write(self, lines: Iterable[str]) -> None:
        """One write for all lines. Raises OSError: a book with gaps would prove nothing."""
        rest = memoryview("".join(lines).encode("ascii"))
        while rest:
            rest = rest[os.write(self._file, rest) :]


@dataclass(slots=True)
class JournalSummary:
    """`duplicates` are accepted calls beyond the first of each delivery; `calls` counts every outcome."""

    accepted: int = 0
    distinct: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    repeated: list[UUID] = field(default_factory=list)

    @property
    def duplicates(self) -> int:
        return self.accepted - self.distinct


def read_journal(path: str | Path) -> JournalSummary:
    """Count a journal. Memory grows with the distinct deliveries, about 100 bytes each."""
    summary = JournalSummary()
    seen: set[bytes] = set()
    with Path(path).open(encoding="ascii") as lines:
        for line in lines:
            delivery, _attempt, _provider, outcome, *_ = line.rstrip("\n").split("\t")
            summary.calls[outcome] += 1
            if outcome != ACCEPTED:
                continue
            key = bytes.fromhex(delivery.replace("-", ""))
            if key not in seen:
                seen.add(key)
            elif len(summary.repeated) < MAX_NAMED:
                summary.repeated.append(ids.uuid(key))
    summary.accepted, summary.distinct = summary.calls[ACCEPTED], len(seen)
    return summary
