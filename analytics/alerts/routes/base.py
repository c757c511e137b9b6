"""What a way to people is given, and what it answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from analytics.alerts.choices import Happening, Severity

#: Recipients of one route: people on call, not a mailing list.
MAX_PEOPLE = 50


class InvalidTarget(ValueError):
    """A route's target cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a route leads. `secret` signs what a webhook gets."""

    name: str
    target: str
    secret: str = ""

    @property
    def lines(self) -> list[str]:
        """One address or id a line; commas do, too."""
        return [line.strip() for line in self.target.replace(",", "\n").splitlines() if line.strip()]


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened to an alert. `url` is its page in the admin."""

    alert_id: int
    fingerprint: str
    what: str  # a Happening
    at: datetime
    title: str
    severity: str  # a Severity
    channel: str
    provider: str
    summary: str
    advice: str
    opened_at: datetime | None
    resolved_at: datetime | None
    url: str

    @property
    def is_over(self) -> bool:
        return self.what == Happening.RESOLVED

    @property
    def head(self) -> str:
        """ "Critical: No worker: SMS", or "Resolved: ..."."""
        word = {
            Happening.RESOLVED: "Resolved",
            Happening.REMINDED: f"Still {Severity(self.severity).label.lower()}",
        }.get(Happening(self.what), Severity(self.severity).label)
        return f"{word}: {self.title}"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message as it is sent. `id` is the same at every try; `at` is now. `url` leads to what it speaks of."""

    id: str
    at: datetime
    subject: str
    lines: Sequence[Line]
    url: str
    is_test: bool = False

    @property
    def text(self) -> str:
        """All of it, for people."""
        if self.is_test:
            return f"This is a test. Alerts that this route receives will come this way.\n\n{self.url}"
        return "\n\n".join(map(paragraph, self.lines))


def paragraph(line: Line) -> str:
    """A line with what is known and what to do."""
    parts = [line.head, line.summary]
    if line.is_over and line.opened_at and line.resolved_at:
        minutes = max(1, round((line.resolved_at - line.opened_at).total_seconds() / 60))
        parts.append(f"It lasted {minutes:,} min.")
    elif line.opened_at:
        parts.append(f"Since {line.opened_at:%-d %b %Y, %H:%M} UTC.")
    if line.advice and not line.is_over:
        parts.append(line.advice)
    return "\n".join([*filter(None, parts), line.url])


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether a message was taken. `answer` says what came back, without an address or a secret. `for_good`: another
    try would end the same."""

    ok: bool
    answer: str
    for_good: bool = False


@dataclass(frozen=True, slots=True)
class Way:
    """`check` raises InvalidTarget for a target that cannot be used. `send` tries once, within some ten seconds, and
    raises nothing for what a network does; it runs on a thread of its own, unless it `needs_database`."""

    check: Callable[[Target], None]
    send: Callable[[Target, Outgoing], Outcome]
    needs_database: bool = False
