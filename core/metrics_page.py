"""`/metrics`: who may read a process's figures, and where.

The web process shows them at `/metrics`. Every process, web ones too, shows them on a port of its own as well when
`settings.METRICS_PORT` is set: the first free one from there on, so that several processes of one machine, or the
children of one command, each have theirs, and in a container it is the very one.

With `settings.METRICS_TOKEN` whoever sends it as a bearer token may read them, from anywhere. Without it only who comes
from this machine itself may, and the ports listen on 127.0.0.1 alone; a request that a proxy handed on does not count
as from here, nor any behind a proxy that does not say so (`BEHIND_PROXY`).
"""

import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from email.message import Message
from hmac import compare_digest
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from queue import Empty, SimpleQueue

import structlog
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from core import metrics

log = structlog.get_logger(__name__)

#: Ports that are tried: as many processes of one machine as have one.
PORTS = 64
#: Prometheus gives up after ten seconds. When PostgreSQL takes longer than this, what the process counts itself goes
#: alone, and says that the rest is missing.
LOOK_SECONDS = 3.0
#: A scraper that says nothing is not waited for.
SILENT_SECONDS = 5.0
#: Headers that a proxy leaves.
_HANDED_ON = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Real-IP", "Via")
_PLAIN = "text/plain; charset=utf-8"

_looking = threading.Lock()


def refusal(headers: Mapping[str, str] | Message, peer: str) -> tuple[HTTPStatus, str] | None:
    """Why someone at `peer` may not read the figures; None: he may."""
    if settings.METRICS_TOKEN:
        scheme, _, token = headers.get("Authorization", "").partition(" ")
        given = token.strip().encode("utf-8", "replace")
        if scheme.lower() == "bearer" and compare_digest(given, settings.METRICS_TOKEN.encode()):
            return None
        return HTTPStatus.UNAUTHORIZED, "Send METRICS_TOKEN as a bearer token.\n"
    behind_proxy = settings.SECURE_PROXY_SSL_HEADER is not None or any(name in headers for name in _HANDED_ON)
    if behind_proxy or not _is_here(peer):
        return HTTPStatus.FORBIDDEN, "Set METRICS_TOKEN to read the metrics from elsewhere or through a proxy.\n"
    return None


def _is_here(peer: str) -> bool:
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


@never_cache
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """The web process's own figures, and the installation's."""
    refused = refusal(request.headers, request.META.get("REMOTE_ADDR", ""))
    if refused is not None:
        return _refused(*refused)
    content, media_type = text(request.headers.get("Accept", ""), whole=True)
    return HttpResponse(content, content_type=media_type)


def _refused(status: HTTPStatus, words: str) -> HttpResponse:
    response = HttpResponse(words, status=status, content_type=_PLAIN)
    if status is HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = 'Bearer realm="metrics"'
    return response


def text(accept: str, *, whole: bool) -> tuple[bytes, str]:
    """The figures and their media type. What must be read from a server is waited for LOOK_SECONDS at most, and is read
    for one at a time, the next waiting as long: a database that hangs must not collect threads."""
    if whole and _looking.acquire(timeout=LOOK_SECONDS):
        answer: SimpleQueue[tuple[bytes, str]] = SimpleQueue()
        threading.Thread(target=_look, args=(accept, answer), name="metrics", daemon=True).start()
        try:
            return answer.get(timeout=LOOK_SECONDS)
        except Empty:
            pass
    return metrics.exposition(accept)


def _look(accept: str, answer: "SimpleQueue[tuple[bytes, str]]") -> None:
    try:
        answer.put(metrics.exposition(accept, whole=True))
    finally:
        _looking.release()
        connection.close()


class _Handler(BaseHTTPRequestHandler):
    server_version = "carillon"
    sys_version = ""
    timeout = SILENT_SECONDS
    whole = False

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != "/metrics":
            self._answer(HTTPStatus.NOT_FOUND, b"The figures are at /metrics.\n", _PLAIN)
        elif (refused := refusal(self.headers, self.client_address[0])) is not None:
            self._answer(refused[0], refused[1].encode(), _PLAIN)
        else:
            self._answer(HTTPStatus.OK, *text(self.headers.get("Accept", ""), whole=self.whole))

    def _answer(self, status: HTTPStatus, content: bytes, media_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        if status is HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", 'Bearer realm="metrics"')
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a line every fifteen seconds tells nobody anything."""


class _Whole(_Handler):
    whole = True


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True  # of a process that has just ended; one that lives keeps its port

    def __init__(self, host: str, port: int, handler: type[_Handler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), handler)

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: a scraper that hung up is no fault of ours."""


class MetricsServer:
    """The process's port. `port` is 0 when it has none."""

    def __init__(self, *, whole: bool) -> None:
        """`whole`: show the installation's figures too."""
        self._server = _listen(settings.METRICS_PORT, _Whole if whole else _Handler)
        self.port: int = self._server.server_address[1] if self._server is not None else 0
        self._is_serving = False

    def start(self) -> None:
        if self._server is not None:
            serve = self._server.serve_forever
            threading.Thread(target=serve, kwargs={"poll_interval": 1.0}, name="metrics-port", daemon=True).start()
            self._is_serving = True

    def stop(self) -> None:
        """Let go of the port, and of the thread: one that went on would poll whatever gets the number of its socket
        next. Safe without a port, and twice."""
        if self._server is None:
            return
        if self._is_serving:
            self._is_serving = False
            with suppress(OSError):  # wakes the thread, which looks for a stop once a second; not everywhere
                self._server.socket.shutdown(socket.SHUT_RDWR)
            self._server.shutdown()
        self._server.server_close()


def _listen(first: int, handler: type[_Handler]) -> _Server | None:
    if not first:
        return None
    everywhere = "::" if socket.has_dualstack_ipv6() else "0.0.0.0"  # noqa: S104  with a token alone
    host = everywhere if settings.METRICS_TOKEN else "127.0.0.1"
    for port in range(first, min(first + PORTS, 65_536)):
        try:
            return _Server(host, port, handler)
        except OSError:
            continue
    log.warning("metrics.no_port", first=first, tried=PORTS)
    return None
