"""The short-lived connection: whatever goes wrong with it is one word to its callers."""

import pytest

from notifications.errors import BrokerUnavailable
from notifications.messaging import connection


def test_a_peer_that_is_gone_before_pika_could_look_who_it_is_is_an_unavailable_broker(
    monkeypatch: pytest.MonkeyPatch,
):
    def hung_up(_parameters: object) -> None:
        raise ValueError("Expected connected socket, but getpeername() failed")  # what pika says of it, one in 300

    monkeypatch.setattr(connection, "BlockingConnection", hung_up)

    with pytest.raises(BrokerUnavailable), connection.short_lived("test"):
        pass


def test_a_mistake_of_the_caller_is_not_taken_for_the_broker(monkeypatch: pytest.MonkeyPatch):
    class Open:
        def __init__(self, _parameters: object) -> None: ...

        def close(self) -> None: ...

    monkeypatch.setattr(connection, "BlockingConnection", Open)

    with pytest.raises(ValueError, match="mine"), connection.short_lived("test"):
        raise ValueError("mine")
