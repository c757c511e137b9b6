"""Figures of this process for Prometheus: counters, gauges and histograms, and the text that shows them.

Whoever counts something names its metric once, at the top of a module, and adds to it once per batch:

    _OUTCOMES = metrics.counter("outcomes_total", "What became of deliveries.", "channel", "outcome")
    _OUTCOMES.inc("email", "sent", by=500)

Every name begins with `carillon_`. Label values come from a vocabulary of ours (a channel, a provider of the settings,
the template of a route), never from a caller; should one slip through all the same, a metric has at most MAX_SERIES
series, and what would be one more is counted under "other".

What a process counts by itself is in `registry`. What is true of the whole installation (queues, circuits, beats) is
read from its servers when somebody asks: a function given to `installation`, which the web process alone shows.
"""

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry, GCCollector, Metric, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder

__all__ = ["Counter", "Gauge", "Histogram", "counter", "exposition", "gauge", "histogram", "installation", "registry"]

PREFIX = "carillon_"
#: Series of one metric in one process. Sixteen lanes times twenty outcomes fit in; a flood of made-up values does not.
MAX_SERIES = 1000
OTHER = "other"
#: Upper bounds of a duration's buckets in seconds: from a look into Redis to a provider that hangs.
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

Values = tuple[str, ...]

registry = CollectorRegistry()
ProcessCollector(registry=registry)  # CPU, memory and open files, where the system is Linux
GCCollector(registry=registry)


class _Installation:
    """What functions say of the whole installation. One that fails takes nothing from the others."""

    def __init__(self) -> None:
        self._functions: dict[str, Callable[[], Iterable[Metric]]] = {}

    def add(self, name: str, collect: Callable[[], Iterable[Metric]]) -> None:
        """Have `collect` asked at each look; one of the same name takes its place. It is to be quick, and bounded."""
        self._functions[name] = collect

    def collect(self) -> Iterator[Metric]:
        failed = gauge_family("collector_failed", "Whether a part of the installation's figures is missing.", "part")
        for name, function in list(self._functions.items()):
            try:
                found = list(function())
            except Exception:  # whatever it is, who looks must get the rest, and learn that this is missing
                failed.add_metric([name], 1.0)
            else:
                failed.add_metric([name], 0.0)
                yield from found
        yield failed


installation = _Installation()


class _Metric:
    """What the three kinds have in common: a name, labels, and a bound on the combinations of their values."""

    def __init__(self, name: str, help: str, labels: Sequence[str]) -> None:
        self.name, self.help, self.labels = PREFIX + name, help, tuple(labels)
        self._lock = threading.Lock()

    def _key(self, values: Values, known: "dict[Values, float] | dict[Values, list[float]]") -> Values:
        if values in known:
            return values
        if len(values) != len(self.labels):
            raise TypeError(f"{self.name} has the labels {self.labels}, not {values}.")
        return values if len(known) < MAX_SERIES else (OTHER,) * len(self.labels)


class Counter(_Metric):
    """It only grows. Its name ends in `_total`."""

    def __init__(self, name: str, help: str, labels: Sequence[str]) -> None:
        super().__init__(name, help, labels)
        self._values: dict[Values, float] = {} if labels else {(): 0.0}

    def inc(self, *values: str, by: float = 1.0) -> None:
        """Add to the series of these label values, in the order of the labels."""
        with self._lock:
            key = self._key(values, self._values)
            self._values[key] = self._values.get(key, 0.0) + by

    def value(self, *values: str) -> float:
        return self._values.get(values, 0.0)

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(self.name, self.help, labels=self.labels)
        for values, value in self._values.copy().items():
            family.add_metric(values, value)
        yield family


class Gauge(_Metric):
    """It goes up and down."""

    def __init__(self, name: str, help: str, labels: Sequence[str]) -> None:
        super().__init__(name, help, labels)
        self._values: dict[Values, float] = {}

    def set(self, *values: str, to: float) -> None:
        with self._lock:
            self._values[self._key(values, self._values)] = to

    def value(self, *values: str) -> float | None:
        return self._values.get(values)

    def collect(self) -> Iterator[Metric]:
        family = gauge_family(self.name.removeprefix(PREFIX), self.help, *self.labels)
        for values, value in self._values.copy().items():
            family.add_metric(values, value)
        yield family


class Histogram(_Metric):
    """How many were how large; of durations, in seconds."""

    def __init__(self, name: str, help: str, labels: Sequence[str], bounds: Sequence[float]) -> None:
        super().__init__(name, help, labels)
        self.bounds = tuple(bounds)
        self._series: dict[Values, list[float]] = {}  # a count per bucket, the last one for what is larger; and the sum

    def observe(self, *values: str, value: float, times: int = 1) -> None:
        """Count `value`, so many times at once."""
        with self._lock:
            key = self._key(values, self._series)
            series = self._series.get(key)
            if series is None:
                series = self._series[key] = [0.0] * (len(self.bounds) + 2)
            series[bisect_left(self.bounds, value)] += times
            series[-1] += value * times

    def count(self, *values: str) -> int:
        series = self._series.get(values)
        return int(sum(series[:-1])) if series else 0

    def collect(self) -> Iterator[Metric]:
        family = HistogramMetricFamily(self.name, self.help, labels=self.labels)
        with self._lock:
            copied = {values: list(series) for values, series in self._series.items()}
        for values, series in copied.items():
            buckets, so_far = [], 0.0
            for bound, count in zip([*map(str, self.bounds), "+Inf"], series[:-1], strict=True):
                so_far += count
                buckets.append((bound, so_far))
            family.add_metric(values, buckets, series[-1])
        yield family


def counter(name: str, help: str, *labels: str) -> Counter:
    """A counter of this process, by its name without `carillon_`."""
    made = Counter(name, help, labels)
    registry.register(made)
    return made


def gauge(name: str, help: str, *labels: str) -> Gauge:
    """A gauge of this process."""
    made = Gauge(name, help, labels)
    registry.register(made)
    return made


def histogram(name: str, help: str, *labels: str, bounds: Sequence[float] = SECONDS) -> Histogram:
    """A histogram of this process."""
    made = Histogram(name, help, labels, bounds)
    registry.register(made)
    return made


def gauge_family(name: str, help: str, *labels: str) -> GaugeMetricFamily:
    """An empty gauge for a function of `installation` to fill: `add_metric([label values], figure)`."""
    return GaugeMetricFamily(PREFIX + name, help, labels=labels)


class _All:
    def collect(self) -> Iterator[Metric]:
        yield from registry.collect()
        yield from installation.collect()


def exposition(accept: str = "", *, whole: bool = False) -> tuple[bytes, str]:
    """The figures in the form an Accept header asks for, and its media type. `whole`: the installation's, too."""
    encode, media_type = choose_encoder(accept)
    return encode(_All() if whole else registry), media_type
