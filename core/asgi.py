"""Django under ASGI, for an application whose middleware and views are synchronous."""

import inspect
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any

from asgiref.sync import sync_to_async
from daphne import http_protocol, server
from django.core import signals
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.core.handlers.base import BaseHandler
from django.db import connections
from django.http import HttpRequest
from django.http.response import FileResponse, HttpResponseBase, StreamingHttpResponse
from django.urls import set_script_prefix
from twisted.internet import endpoints
from twisted.web import http

from core import metrics

#: Requests that are worked on at the same time. Each may wait for PostgreSQL, of which a process has fewer connections;
#: many more threads than that would only quarrel over the interpreter.
THREADS = 16
#: Who asks whether the process lives must not stand in line behind those who keep it from living.
PROBES = frozenset({"/healthz", "/readyz", "/metrics"})

#: Connections that wait to be taken up. Twisted's 50 overflow when every open inbox comes back at once; the kernel then
#: drops what the other side takes for a connection, and a page waits up to a minute until its packet is sent again.
BACKLOG = 1024

Head = tuple[int, list[tuple[bytes, bytes]]]

_REQUESTS = metrics.counter("http_requests_total", "Requests answered.", "method", "route", "status")
_SECONDS = metrics.histogram(
    "http_request_seconds", "From a request's last byte to its answer, its wait for a thread included.", "route"
)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
#: The route of what no view answered: a static file, a wrong address.
NO_ROUTE = "none"


def count_request(method: str, route: str, status: int, seconds: float) -> None:
    """Count an answer. `route` is the template of the URL (`api/v1/notifications/<uuid:id>/`), never the URL."""
    _REQUESTS.inc(method if method in _METHODS else metrics.OTHER, route, str(status))
    _SECONDS.observe(route, value=seconds)


class ThreadedASGIHandler(ASGIHandler):
    """Runs a request from its first signal to its last in one visit to one thread, as what it is: synchronous.

    Django's own handler makes a thread for every request and crosses between it and the event loop at every signal, at
    every middleware that knows only one of the two (WhiteNoise's) and at the end. That costs more than the work itself,
    and a stop in such a moment leaves a thread that waits for a loop which is gone: the process then never exits.
    """

    def __init__(self, threads: int = THREADS) -> None:
        BaseHandler.__init__(self)
        self.load_middleware(is_async=False)
        self._threads = ThreadPoolExecutor(threads, "web")
        self._probes = ThreadPoolExecutor(8, "probe")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise ValueError(f"Only HTTP is served here, not {scope['type']}.")
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        threads = self._probes if scope["path"] in PROBES else self._threads
        began = time.monotonic()
        (status, headers), content, route = await sync_to_async(
            self._respond, thread_sensitive=False, executor=threads
        )(scope, body)
        count_request(scope["method"], route, status, time.monotonic() - began)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        if isinstance(content, bytes):
            for chunk, last in self.chunk_bytes(content):
                await send({"type": "http.response.body", "body": chunk, "more_body": not last})
        else:
            await self._stream(content, send)

    async def _stream(self, response: StreamingHttpResponse, send: Any) -> None:
        """A piece at a time, each made in a visit of its own to a thread that lends its connection for that long: a
        long download holds up nobody else, and is never in memory as a whole."""
        pieces = iter(response)
        try:
            while piece := await self._visit(_next_piece, pieces):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            await self._visit(response.close)

    async def _visit(self, step: Callable[..., Any], *given: Any) -> Any:
        return await sync_to_async(step, thread_sensitive=False, executor=self._threads)(*given)

    def _respond(self, scope: Any, body: IO[bytes]) -> tuple[Head, bytes | StreamingHttpResponse, str]:
        """The whole answer, and the route that led to it; the answer itself where it is to be streamed."""
        set_script_prefix(get_script_prefix(scope))
        signals.request_started.send(sender=self.__class__, scope=scope)
        request, refusal = self.create_request(scope, body)
        response: Any = refusal if request is None else self.get_response(request)
        response._handler_class = self.__class__  # the sender of its last signal
        if response.streaming and not isinstance(response, FileResponse):
            body.close()
            connections.close_all()
            return _head(response), response, _route(request)
        try:
            if isinstance(response, FileResponse):
                response.block_size = self.chunk_size
            content = b"".join(response)
            return _head(response), content, _route(request)
        finally:
            response.close()  # says that the request is finished: its connection goes back to the pool
            body.close()

    def dress(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """What the middleware makes of a view's answer to a request; it may answer itself instead."""
        request._answered = response  # type: ignore[attr-defined]  # a message to the method below
        dressed: HttpResponseBase = self._middleware_chain(request)  # type: ignore[attr-defined]  # unknown to the stubs
        return dressed

    def _get_response(self, request: HttpRequest) -> HttpResponseBase:
        answered: HttpResponseBase | None = getattr(request, "_answered", None)
        if answered is not None:
            return answered
        viewed: HttpResponseBase = super()._get_response(request)  # type: ignore[misc]  # unknown to the stubs
        return viewed


class _Request(http_protocol.WebRequest):
    """daphne's request, but Twisted does not look whether its body is a form. It would read the form on the event loop,
    for nobody: Django reads it. For a small call the look at the media type alone took a third of daphne's time."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, parsePOSTFormSubmission=False, **kwargs)


class _Factory(http_protocol.HTTPFactory):
    """daphne's, without the line that Twisted puts together for each answer: daphne throws it away and writes its own
    access log."""

    def log(self, request: http.Request) -> None:
        pass


def lighten_daphne(listening: Callable[[Any], object] = lambda reactor: None) -> None:
    """Spare daphne what it does for nobody, and let it listen with a longer line; in this process, before it listens. A
    Twisted that has no switch for forms goes on reading them.

    `listening` is called once, with Twisted's reactor, when daphne is about to listen: an import alone makes no web
    process.
    """
    begun = False

    def endpoint(reactor: Any, description: str) -> Any:
        nonlocal begun
        if not begun:
            begun = True
            listening(reactor)
        return _endpoint(reactor, description)

    server.HTTPFactory = _Factory
    server.serverFromString = endpoint
    if "parsePOSTFormSubmission" in inspect.signature(http.Request.__init__).parameters:
        http_protocol.WebRequest = _Request


def _endpoint(reactor: Any, description: str) -> Any:
    """What daphne listens on. `-e` may name another backlog."""
    if description.startswith(("tcp:", "ssl:")) and ":backlog=" not in description:
        description += f":backlog={BACKLOG}"
    return endpoints.serverFromString(reactor, description)  # type: ignore[no-untyped-call]  # Twisted has no types here


def _next_piece(pieces: Iterator[bytes]) -> bytes:
    """The next piece of a stream that is not empty; b"" at the end."""
    try:
        return next((piece for piece in pieces if piece), b"")
    finally:
        connections.close_all()  # the next one may be made on another thread


def _route(request: HttpRequest | None) -> str:
    """The template of the URL; of the admin, which has some two hundred, its first part alone."""
    match = getattr(request, "resolver_match", None)
    if match is None:
        return NO_ROUTE
    return "admin/" if match.route.startswith("admin/") else match.route or "/"


def _head(response: HttpResponseBase) -> Head:
    headers = [(name.encode("ascii"), value.encode("latin-1")) for name, value in response.items()]
    headers += [(b"Set-Cookie", cookie.OutputString().encode("ascii")) for cookie in response.cookies.values()]
    return response.status_code, headers
