"""A client's server: answers as it is told, and keeps what it was sent."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson

from core.standard_webhooks import verify


@dataclass(frozen=True)
class Received:
    """A request, as it came."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def said(self) -> Any:
        return orjson.loads(self.body)


class Receiver:
    """`status`, `headers`, `body` and `pause` (seconds) are how it answers from now on; `script`, statuses for the next
    requests, goes first."""

    def __init__(self) -> None:
        self.status, self.headers, self.body, self.pause = 200, {}, b"thanks", 0.0
        self.script: list[int] = []
        self.received: list[Received] = []
        self.url = ""

    @property
    def types(self) -> list[str]:
        return sorted(one.said["type"] for one in self.received)

    def verified(self, *secrets: str) -> bool:
        """Whether each request carries a good signature."""
        return all(verify(secrets, one.headers, one.body, now=time.time()) == one.id for one in self.received)

    @contextmanager
    def listening(self, port: int = 0) -> Iterator["Receiver"]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"] or 0))
                receiver.received.append(Received({name.lower(): value for name, value in self.headers.items()}, body))
                status = receiver.script.pop(0) if receiver.script else receiver.status
                time.sleep(receiver.pause)
                self.send_response(status)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(receiver.body)))
                self.end_headers()
                self.wfile.write(receiver.body)

            def log_message(self, *_: object) -> None:
                """The test says what it wants to know."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, *_: object) -> None:
                """A client that has given up is no news."""

        server = Server(("127.0.0.1", port), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_port}/hooks"
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
