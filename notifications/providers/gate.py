"""ProviderGate: whether a provider may be asked now, and for how many messages."""

from collections.abc import Sequence
from typing import NamedTuple

from notifications.services.rate_limiter import RateLimiter


class Permit(NamedTuple):
    """`granted` messages may be handed to the provider now. For the rest `reason` is a HoldReason, and it is worth
    asking again after `wait` seconds; from then on about `per_second` go (0.0: all at once). `probe` is set when this
    is the one call that a half-open circuit lets through."""

    granted: int
    reason: str = ""
    wait: float = 0.0
    per_second: float = 0.0
    probe: str = ""


class ProviderGate:
    """Switches, circuits, pauses and limits of providers, shared by all workers. Never raises for Redis."""

    def __init__(self, limiter: RateLimiter | None = None) -> None:
        self.limiter = limiter or RateLimiter()

    def shut_for(self, providers: Sequence[str]) -> float:
        """Seconds for which none of these may be asked; 0.0 when one may."""
        return 0.0

    def ask(self, provider: str, n: int, *, priority: str) -> Permit:
        """How many of n messages the provider may be handed now."""
        return Permit(n)

    def report(
        self,
        provider: str,
        permit: Permit,
        *,
        answered: int,
        failed: int,
        seconds: float,
        retry_after: float | None = None,
    ) -> None:
        """Tell how a permitted call went. `retry_after`: the longest wait a 429 named, None when there was none."""
