import pytest

from tests import factories


@pytest.fixture
def shop(db: None) -> None:
    """Enough to send: a category and a template."""
    factories.category("orders")
    factories.template("order-shipped")
