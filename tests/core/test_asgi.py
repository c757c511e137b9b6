"""A synchronous application under ASGI."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from daphne import server
from daphne.http_protocol import WebRequest
from django.conf import LazySettings
from django.core import signals
from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactor, StringTransport

from core.asgi import BACKLOG, ThreadedASGIHandler, lighten_daphne
from tests.asgi import Ask, ask

_gate = threading.Event()
_made: list[int] = []


def plain(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"{request.POST['a']} on {threading.current_thread().name}", headers={"X-One": "é"})


def cookies(request: HttpRequest) -> HttpResponse:
    response = HttpResponse("x")
    response.set_cookie("a", "1")
    return response


def streamed(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(str(n) for n in range(5))


def endless(request: HttpRequest) -> StreamingHttpResponse:
    def pieces() -> Iterator[bytes]:
        for n in range(3):
            _made.append(n)
            yield b"" if n == 1 else b"x" * 10  # an empty piece is not the end

    return StreamingHttpResponse(pieces())


def file(request: HttpRequest) -> FileResponse:
    return FileResponse(Path(__file__).open("rb"))


def large(request: HttpRequest) -> HttpResponse:
    return HttpResponse(b"x" * 200_000)


def broken(request: HttpRequest) -> HttpResponse:
    raise ZeroDivisionError


def stuck(request: HttpRequest) -> HttpResponse:
    assert _gate.wait(timeout=10)
    return HttpResponse("at last")


def healthz(request: HttpRequest) -> HttpResponse:
    _gate.set()
    return HttpResponse("ok")


VIEWS: list[Callable[..., Any]] = [plain, cookies, streamed, endless, file, large, broken, stuck, healthz]
urlpatterns = [path(view.__name__, view) for view in VIEWS]


@pytest.fixture
def handler(settings: LazySettings) -> ThreadedASGIHandler:
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = []
    settings.ALLOWED_HOSTS = ["*"]
    _gate.clear()
    return ThreadedASGIHandler(threads=2)


def get(where: str) -> Ask:
    return Ask("GET", f"/{where}", b"", {"Host": "here"})


def test_a_form_comes_in_and_an_answer_goes_out(handler: ThreadedASGIHandler) -> None:
    form = {"Host": "here", "Content_Type": "application/x-www-form-urlencoded", "Content_Length": "7"}

    [told] = ask(handler, Ask("POST", "/plain", b"a=%C3%A9", form | {"Content_Length": "8"}))

    assert (told.status, told.headers["x-one"]) == (200, "é")
    assert told.body.decode().startswith("é on web")


@pytest.mark.parametrize(
    ("where", "body"), [("streamed", b"01234"), ("large", b"x" * 200_000), ("file", Path(__file__).read_bytes())]
)
def test_an_answer_comes_whole(handler: ThreadedASGIHandler, where: str, body: bytes) -> None:
    assert ask(handler, get(where))[0].body == body


def test_a_stream_leaves_piece_by_piece_and_ends_its_request(handler: ThreadedASGIHandler) -> None:
    _made.clear()
    ended: list[object] = []
    made_when_sent: list[int] = []

    async def keep(message: dict[str, Any]) -> None:
        if message.get("body"):
            made_when_sent.append(len(_made))

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    def note(**_: Any) -> None:
        ended.append(len(_made))

    signals.request_finished.connect(note)
    try:
        asyncio.run(handler(get("endless").scope(), receive, keep))
    finally:
        signals.request_finished.disconnect(note)

    assert made_when_sent == [1, 3]
    assert ended == [3]


def test_a_cookie_is_set(handler: ThreadedASGIHandler) -> None:
    assert ask(handler, get("cookies"))[0].headers["set-cookie"] == "a=1; Path=/"


def test_a_bug_is_a_500_and_an_unknown_address_a_404(handler: ThreadedASGIHandler) -> None:
    assert [told.status for told in ask(handler, get("broken"), get("nothing"))] == [500, 404]


def test_a_request_begins_and_ends_on_the_thread_that_serves_it(handler: ThreadedASGIHandler) -> None:
    said: list[tuple[str, str]] = []

    def began(**_: Any) -> None:
        said.append(("began", threading.current_thread().name))

    def ended(**_: Any) -> None:
        said.append(("ended", threading.current_thread().name))

    signals.request_started.connect(began)
    signals.request_finished.connect(ended)
    try:
        [told] = ask(handler, get("large"))
    finally:
        signals.request_started.disconnect(began)
        signals.request_finished.disconnect(ended)

    assert told.status == 200
    assert [what for what, _ in said] == ["began", "ended"]
    assert len({thread for _, thread in said}) == 1


def test_a_probe_is_answered_when_every_thread_is_busy(handler: ThreadedASGIHandler) -> None:
    answers = ask(handler, get("stuck"), get("stuck"), get("stuck"), get("healthz"))

    assert [told.status for told in answers] == [200, 200, 200, 200]


def test_daphne_leaves_forms_to_django() -> None:
    seen: list[WebRequest] = []
    stub = SimpleNamespace(
        protocol_connected=seen.append,
        create_application=lambda protocol, scope: None,
        proxy_forwarded_address_header=None,
        root_path="",
    )
    lighten_daphne()
    channel = server.HTTPFactory(stub).buildProtocol(None)
    channel.makeConnection(StringTransport())

    channel.dataReceived(
        b"POST / HTTP/1.1\r\nHost: here\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        b"Content-Length: 3\r\n\r\na=1"
    )

    [request] = seen
    assert (request.path, request.args) == (b"/", {})
    assert request.content.read() == b"a=1"


@pytest.mark.parametrize(("asked", "backlog"), [("", BACKLOG), (":backlog=7", 7)])
def test_a_crowd_may_wait_to_be_taken_up(asked: str, backlog: int) -> None:
    lighten_daphne()
    reactor = MemoryReactor()

    server.serverFromString(reactor, f"tcp:port=8000:interface=127.0.0.1{asked}").listen(Factory())

    [(_, _, waiting, _)] = reactor.tcpServers
    assert waiting == backlog
