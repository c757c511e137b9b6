"""The one place that turns dotted paths of settings into objects: providers, receivers, observers, workers."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, cast

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from notifications.attention import EngagementLookup
from notifications.decorators import MessageDecorator
from notifications.observers import DeliveryObserver, EventListener
from notifications.providers.base import Provider
from notifications.receivers.base import Receiver

if TYPE_CHECKING:
    from notifications.messaging.base import Verdict, WorkMessage  # whose package needs the services, and they this


@cache
def provider(name: str) -> Provider:
    """The provider of that name, built once per process from its options."""
    try:
        entry = settings.PROVIDERS[name]
    except KeyError:
        known = ", ".join(sorted(settings.PROVIDERS))
        raise ImproperlyConfigured(f"There is no provider {name!r} in PROVIDERS. Known: {known}.") from None
    build: Any = import_string(entry["class"])
    return cast(Provider, build(name=name, **entry.get("options", {})))


def receiver(name: str) -> Receiver | None:
    """Who reads that provider's webhooks, built once per process; None for a name that sends none, or is none."""
    return _receiver(name) if "receiver" in settings.PROVIDERS.get(name, {}) else None


@cache
def _receiver(name: str) -> Receiver:
    entry = settings.PROVIDERS[name]["receiver"]
    build: Any = import_string(entry["class"])
    return cast(Receiver, build(name=name, **entry.get("options", {})))


def chain(channel: str, *, is_test: bool) -> list[Provider]:
    """A channel's providers in the order they are tried; test traffic has the simulator alone."""
    names = [settings.TEST_PROVIDERS[channel]] if is_test else settings.PROVIDER_CHAINS[channel]
    return [provider(name) for name in names]


@cache
def observers() -> tuple[DeliveryObserver, ...]:
    """Everyone who is told of a batch."""
    return tuple(import_string(path)() for path in settings.DELIVERY_OBSERVERS)


@cache
def source_namers() -> tuple[Any, ...]:
    """Who knows what sources are called (`notifications.sources.SourceNamer`)."""
    return tuple(import_string(path) for path in settings.SOURCE_NAMERS)


@cache
def decorators() -> tuple[MessageDecorator, ...]:
    """Everyone who has a hand in a message before it goes to its provider, in order."""
    return tuple(import_string(path)() for path in settings.MESSAGE_DECORATORS)


@cache
def listeners() -> tuple[EventListener, ...]:
    """Everyone who is told of single events."""
    return tuple(import_string(path)() for path in settings.EVENT_LISTENERS)


@cache
def engagement_lookup() -> EngagementLookup | None:
    """Who knows what people did in their inbox; None where there is none."""
    path = settings.ENGAGEMENT_LOOKUP
    return cast(EngagementLookup, import_string(path)) if path else None


class MessageHandler(Protocol):
    """One batch in, a verdict out; safe to call from several threads. AGAIN when nothing could be recorded."""

    def process(self, message: "WorkMessage") -> "Verdict": ...

    def stats(self) -> Mapping[str, Any]:
        """What the process's beat says of it."""
        ...

    def close(self) -> None:
        """Nobody calls `process` any more."""
        ...


class LaneWorker(Protocol):
    """Makes a worker. `stopping` says whether the process is asked to end."""

    def __call__(self, *, stopping: Callable[[], bool]) -> MessageHandler: ...


def lane_worker(channel: str) -> LaneWorker:
    """What makes the worker of a channel's lanes: the one of deliveries, or that of an app above."""
    path = settings.LANE_WORKERS.get(channel, "notifications.worker.Worker")
    return cast(LaneWorker, import_string(path))


def _forget(*, setting: str, **_: object) -> None:
    if setting in {"PROVIDERS", "PROVIDER_CHAINS", "TEST_PROVIDERS"}:
        provider.cache_clear()
        _receiver.cache_clear()
    if setting == "DELIVERY_OBSERVERS":
        observers.cache_clear()
    if setting == "SOURCE_NAMERS":
        source_namers.cache_clear()
    if setting == "MESSAGE_DECORATORS":
        decorators.cache_clear()
    if setting == "ENGAGEMENT_LOOKUP":
        engagement_lookup.cache_clear()
    if setting == "EVENT_LISTENERS":
        listeners.cache_clear()


setting_changed.connect(_forget)
