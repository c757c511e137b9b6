"""Connections to the broker: whatever goes wrong with one is one word to its callers, and one line in the log."""

import socket
import threading
from typing import Any

import pytest
from pika.adapters.utils import io_services_utils
from pika.channel import Channel

from notifications.errors import BrokerUnavailable
from notifications.messaging import connection
from notifications.messaging.connection import Link
from tests.notifications.messaging.harness import RabbitTransport, Recorder, enqueue, ids, running, wait_for


def test_a_peer_that_is_gone_before_pika_could_look_who_it_is_is_an_unavailable_broker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def hung_up(_parameters: object) -> None:
        raise ValueError("Expected connected socket, but getpeername() failed")  # what pika says of it, one in 300

    monkeypatch.setattr(connection, "BlockingConnection", hung_up)

    with pytest.raises(BrokerUnavailable), connection.short_lived("test"):
        pass


def test_a_mistake_of_the_caller_is_not_taken_for_the_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    class Open:
        def __init__(self, _parameters: object) -> None: ...

        def close(self) -> None: ...

    monkeypatch.setattr(connection, "BlockingConnection", Open)

    with pytest.raises(ValueError, match="mine"), connection.short_lived("test"):
        raise ValueError("mine")


@pytest.mark.rabbitmq
def test_a_worker_whose_broker_hangs_up_says_so_in_one_line_and_comes_back(
    rabbit: RabbitTransport, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # Given a worker whose first connection is gone before pika could look who it is
    connector: Any = io_services_utils._AsyncStreamConnector
    begin = connector.__init__
    hung_up = threading.Event()

    def gone_at_first(self: object, *given: object, sock: socket.socket, **named: object) -> None:
        if threading.current_thread().name == "amqp-worker email" and not hung_up.is_set():
            hung_up.set()
            sock.close()
        begin(self, *given, sock=sock, **named)

    monkeypatch.setattr(connector, "__init__", gone_at_first)
    deliveries = ids(2)
    enqueue(deliveries)
    rabbit.flush()
    worker = Recorder()

    # When
    with running(worker):
        wait_for(lambda: sorted(worker.done) == deliveries)

    # Then
    assert hung_up.is_set()
    said = ("warning", "no connection to the broker; trying again", "the broker hung up")
    assert [(line["level"], line["event"], line.get("reason")) for line in logged(caplog)] == [said]
    assert "Traceback" not in caplog.text


@pytest.mark.rabbitmq
def test_a_mistake_of_ours_on_a_link_keeps_its_traceback(
    rabbit: RabbitTransport, caplog: pytest.LogCaptureFixture
) -> None:
    def mistaken(_channel: Channel) -> None:
        raise ValueError("mine")

    link = Link("test", setup=lambda _channel: None)
    link.open()
    link.call(mistaken)
    assert link.lost.wait(10)

    assert [line["event"] for line in logged(caplog)] == ["the connection's thread failed"]
    assert "in mistaken" in caplog.text


def logged(caplog: pytest.LogCaptureFixture) -> list[dict[str, str]]:
    """The lines of messaging, by their fields."""
    return [line.msg for line in caplog.records if line.name.startswith("notifications.messaging")]  # type: ignore[misc]  # structlog's
