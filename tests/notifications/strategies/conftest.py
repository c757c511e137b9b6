from typing import Any

import pytest

from tests import factories
from tests.notifications.fakes import FakeProvider, use_provider


@pytest.fixture
def ann(db: None) -> Any:
    """Reachable everywhere, on one device."""
    factories.category("orders")
    return factories.recipient("ann")


@pytest.fixture
def provider(settings: Any) -> FakeProvider:
    """Takes everything, on every channel, and reports later what became of it."""
    fake = use_provider(settings, FakeProvider("fake"))
    settings.PROVIDERS = {**settings.PROVIDERS, "fake": {**settings.PROVIDERS["fake"], "receiver": {}}}
    return fake
