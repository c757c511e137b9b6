import pytest

from tests import factories
from tests.api import Api


@pytest.fixture
def api(db: None) -> Api:
    """A service with a live key of all scopes."""
    return Api()


@pytest.fixture
def shop(db: None) -> None:
    """Enough to send: a recipient, a category and a template."""
    factories.recipient("user-42")
    factories.category("orders")
    factories.template("order-shipped")
