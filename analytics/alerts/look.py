"""One look at the figures, for all rules: what two of them ask for is read once."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Literal

from analytics.rollups import reading
from analytics.rollups.reading import Histogram, Tallies, Where
from notifications import live
from notifications.live import LiveState
from notifications.services import events_lane, providers
from notifications.services.events_lane import Depth
from notifications.services.providers import Overview


@dataclass(frozen=True, slots=True)
class Ask:
    """What a rule wants to know: which part of the traffic, over which window, and apart for what."""

    window: timedelta
    by: Literal["", "channel", "provider"] = ""
    channel: str = ""
    provider: str = ""
    source: str = ""
    priority: str = ""

    @property
    def where(self) -> Where:
        return Where(source=self.source, channel=self.channel, provider=self.provider)


class Look:
    """Figures as of `now`, the database's clock. Raises what PostgreSQL raises; without Redis, `providers` says so."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self._counts: dict[tuple[Ask, timedelta, timedelta | None], Mapping[str, Tallies]] = {}
        self._latencies: dict[Ask, Mapping[str, Histogram]] = {}

    def counts(
        self, ask: Ask, *, ago: timedelta = timedelta(0), over: timedelta | None = None
    ) -> Mapping[str, Tallies]:
        """What happened in the window, or in one of the length `over` that ended `ago`, by channel or provider ("" for
        all together). The running minute belongs to a window that ends now."""
        key = (ask, ago, over)
        if key not in self._counts:
            until = self.now - ago if ago else None
            since = self.now - ago - (over or ask.window)
            self._counts[key] = reading.breakdown(ask.by, since=since, until=until, where=ask.where)
        return self._counts[key]

    def latency(self, ask: Ask) -> Mapping[str, Histogram]:
        """How long what was sent in the window took, by channel or provider."""
        if ask not in self._latencies:
            self._latencies[ask] = reading.latency(since=self.now - ask.window, by=ask.by, where=ask.where)
        return self._latencies[ask]

    @cached_property
    def live(self) -> LiveState:
        return live.state()

    @cached_property
    def events(self) -> Depth:
        return events_lane.depth()

    @cached_property
    def providers(self) -> Overview:
        return providers.overview()
