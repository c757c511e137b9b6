"""What is kept of a visit is there when the answer comes, also on a busy machine."""

import pytest

from analytics.engagement import hits


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hits, "PATIENCE", 1.0)
