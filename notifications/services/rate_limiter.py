"""RateLimiter: how much may go now, and when the rest."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

#: A grant holds for calls that begin at most this many seconds after the asking.
LIMIT_SLACK_SECONDS = 0.25


class Allowance(NamedTuple):
    """Of what was asked, `granted` may go now; the rest not before `wait` seconds (0.0 when all were granted), and then
    about `per_second` a second (0.0: no limit)."""

    granted: int
    wait: float = 0.0
    per_second: float = 0.0


class RecipientAsk(NamedTuple):
    """May this notification go to this person? `category` is a slug."""

    recipient_id: UUID
    category: str
    notification_id: UUID


class KeyAllowance(NamedTuple):
    """`limit` 0: the key has none. `reset` and `retry_after` in seconds."""

    allowed: bool
    limit: int = 0
    remaining: int = 0
    reset: float = 0.0
    retry_after: float = 0.0


class RateLimiter:
    """Limits of recipients, API keys and providers. Never raises for Redis."""

    def provider(self, name: str, n: int, *, priority: str) -> Allowance:
        """Ask for n messages to a provider: its own limit and the global one, both."""
        return Allowance(n)

    def recipients(self, asks: Sequence[RecipientAsk]) -> list[bool | None]:
        """Per ask, whether the person may get it; None when Redis is away and cannot tell."""
        return [True] * len(asks)

    def api_key(self, prefix: str, n: int = 1) -> KeyAllowance:
        """Ask for n calls with an API key."""
        return KeyAllowance(allowed=True)
