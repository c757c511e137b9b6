"""Who may read the metrics, where, and what happens when a server they are read from hangs."""

import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from django.test import Client
from prometheus_client import Metric

from core import metrics, metrics_page
from core.metrics_page import MetricsServer

TOKEN = "a-token-of-some-length"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture(autouse=True)
def nothing_of_the_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests need no database."""
    monkeypatch.setattr(metrics, "installation", metrics._Installation())


@pytest.fixture
def token(settings) -> None:
    settings.METRICS_TOKEN = TOKEN


def look(peer: str = "127.0.0.1", **headers: str) -> tuple[int, str]:
    response = Client(REMOTE_ADDR=peer).get("/metrics", headers=headers)
    return response.status_code, response.content.decode()


# --- the web process's page -------------------------------------------------------------------------------------------


def test_without_a_token_this_machine_reads_them() -> None:
    status, text = look()
    assert status == 200
    assert "process_cpu_seconds_total" in text


@pytest.mark.parametrize("peer", ["10.0.0.7", "203.0.113.9", "::ffff:10.0.0.7", "", "not an address"])
def test_without_a_token_nobody_else_does(peer: str) -> None:
    status, text = look(peer)
    assert status == 403
    assert "process_cpu" not in text


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_this_machine_has_several_names(peer: str) -> None:
    assert look(peer)[0] == 200


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Forwarded-Proto", "Via"])
def test_what_a_proxy_of_this_machine_hands_on_does_not_come_from_here(header: str) -> None:
    assert look(**{header: "127.0.0.1"})[0] == 403


def test_behind_a_proxy_that_leaves_no_trace_nobody_comes_from_here(settings) -> None:
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    assert look()[0] == 403


def test_with_the_token_they_are_read_from_anywhere(token: None) -> None:
    assert look("203.0.113.9", **{"X-Forwarded-For": "198.51.100.1"}, **bearer(TOKEN))[0] == 200


@pytest.mark.parametrize("given", [{}, bearer("wrong"), bearer(""), bearer(TOKEN + "x"), {"Authorization": TOKEN}])
def test_with_a_token_set_even_this_machine_must_send_it(token: None, given: dict[str, str]) -> None:
    response = Client().get("/metrics", headers=given)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_token_that_is_not_ascii_is_wrong_and_no_error(token: None) -> None:
    assert look(**bearer("gehe\u00efm"))[0] == 401


def test_only_reading_is_possible_and_nothing_is_cached() -> None:
    assert Client().post("/metrics").status_code == 405
    assert "no-store" in Client().get("/metrics").headers["Cache-Control"]


def test_a_server_that_hangs_holds_up_only_what_is_read_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given figures that must be asked of a database, which says nothing
    monkeypatch.setattr(metrics_page, "LOOK_SECONDS", 0.1)
    answers = threading.Event()

    def hanging() -> Iterator[Metric]:
        answers.wait(10)
        yield metrics.gauge_family("never", "Never.")

    metrics.installation.add("hanging", hanging)
    # When Prometheus looks, twice
    first, second = look(), look()
    answers.set()
    # Then it has the process's own figures each time, and does not wait in a row
    assert [status for status, _ in (first, second)] == [200, 200]
    assert "process_cpu_seconds_total" in first[1]
    assert "carillon_never" not in first[1] + second[1]


# --- a process's own port ---------------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def serving(settings) -> Iterator[list[MetricsServer]]:
    settings.METRICS_PORT = free_port()
    started: list[MetricsServer] = []
    yield started
    for server in started:
        server.stop()


def started(serving: list[MetricsServer]) -> MetricsServer:
    server = MetricsServer(whole=False)
    server.start()
    serving.append(server)
    return server


def fetch(port: int, path: str = "/metrics", **headers: str) -> tuple[int, str]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=5) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_a_process_shows_its_figures_on_its_port(serving: list[MetricsServer], settings) -> None:
    server = started(serving)
    assert server.port == settings.METRICS_PORT
    status, text = fetch(server.port)
    assert status == 200
    assert "process_cpu_seconds_total" in text
    assert fetch(server.port, "/")[0] == 404


def test_processes_of_one_machine_take_the_next_free_port(serving: list[MetricsServer], settings) -> None:
    first, second = started(serving), started(serving)
    assert first.port == settings.METRICS_PORT
    assert second.port > first.port
    assert fetch(second.port)[0] == 200


def test_a_port_asks_for_the_token_too(serving: list[MetricsServer], token: None) -> None:
    server = started(serving)
    assert fetch(server.port)[0] == 401
    assert fetch(server.port, **bearer(TOKEN))[0] == 200


def test_without_a_token_a_port_listens_for_this_machine_alone(serving: list[MetricsServer]) -> None:
    assert started(serving)._server.server_address[0] == "127.0.0.1"


def test_who_stops_lets_go_of_the_port_and_of_the_thread(serving: list[MetricsServer]) -> None:
    server = started(serving)
    assert fetch(server.port)[0] == 200

    server.stop()

    with pytest.raises(urllib.error.URLError):
        fetch(server.port)
    assert not [thread for thread in threading.enumerate() if thread.name == "metrics-port"]


def test_a_process_without_a_port_has_none(settings) -> None:
    settings.METRICS_PORT = 0
    server = MetricsServer(whole=False)
    server.start()
    assert server.port == 0
    server.stop()
