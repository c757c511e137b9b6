"""The one place that turns dotted paths of settings into objects: providers, receivers, observers, decorators."""

from functools import cache
from typing import Any, cast

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from notifications.decorators import MessageDecorator
from notifications.observers import DeliveryObserver
from notifications.providers.base import Provider
from notifications.receivers.base import Receiver


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


setting_changed.connect(_forget)
