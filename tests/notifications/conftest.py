"""Redis that comes and goes, and a sandbox that nothing has called."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import caches

from core import redis
from notifications.models import SimulatedCall


class ComingAndGoing:
    """Points the settings at a port where nobody listens, and back."""

    def __init__(self, settings: Any) -> None:
        self.settings = settings
        self.home = settings.CACHES

    def leave(self) -> None:
        self._point({"default": {**self.home["default"], "LOCATION": "redis://127.0.0.1:1/0"}})

    def come_back(self) -> None:
        self._point(self.home)

    def _point(self, configured: dict[str, Any]) -> None:
        self.settings.CACHES = configured
        caches.settings = caches.configure_settings(configured)
        if hasattr(caches._connections, "default"):
            del caches["default"]
        redis._reach = redis._Reach()  # what was known of the other one


@pytest.fixture
def redis_away(settings: Any) -> Iterator[ComingAndGoing]:
    """`leave()` and `come_back()`; Redis is there at first, and again at the end."""
    coming = ComingAndGoing(settings)
    yield coming
    coming.come_back()


@pytest.fixture
def no_calls(db: None) -> None:
    """None of tests before this one: simulated providers write theirs from a thread, which no rollback reaches."""
    SimulatedCall.objects.all().delete()
