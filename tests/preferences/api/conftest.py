import pytest

from tests.api import Api


@pytest.fixture
def api(db: None) -> Api:
    """A service with a live key of all scopes."""
    return Api()
