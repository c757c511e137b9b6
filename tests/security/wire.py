"""The web process as it is deployed, and clients that speak to it without a library's manners."""

import json
import os
import re
import secrets
import socket
import struct
import subprocess
import sys
import time
from base64 import b64encode
from contextlib import suppress
from pathlib import Path

from tests.servers import free_port

ROOT = Path(__file__).resolve().parents[2]
#: The image's own command, its flags included.
COMMAND: list[str] = json.loads(re.findall(r"^CMD (\[.*\])$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)[-1])


class Web:
    """daphne with the flags of the image, on a port of this machine. `log` is all it said, once it was stopped."""

    def __init__(self, env: dict[str, str]) -> None:
        self.port = free_port()
        program, *flags = COMMAND
        assert program == "daphne"
        flags[flags.index("--bind") + 1] = "127.0.0.1"
        flags[flags.index("--port") + 1] = str(self.port)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "daphne", *flags],
            env=env,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.log = ""
        deadline = time.monotonic() + 30
        while not self._listens():
            assert self._process.poll() is None, "daphne ended"
            assert time.monotonic() < deadline, "daphne did not start"
            time.sleep(0.1)

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def stop(self) -> None:
        self._process.terminate()
        try:
            output, _ = self._process.communicate(timeout=15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            output, _ = self._process.communicate()
        self.log += output.decode()

    def request(self, head: str, body: bytes = b"") -> tuple[int, bytes]:
        """Send a request as it is given, `head` without its last blank line; the status and all that follows the head.
        0 when the server hangs up without a word."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as wire:
            with suppress(OSError):  # it may answer before all was said
                wire.sendall(head.replace("\n", "\r\n").encode("latin-1") + b"\r\n\r\n" + body)
            received = _all(wire)
        start, _, rest = received.partition(b"\r\n\r\n")
        return int(start.split()[1]) if start else 0, rest

    def open(self, ticket: str, path: str = "/ws/feed/") -> "RawSocket":
        return RawSocket(self.port, path, ticket)


class RawSocket:
    """A WebSocket client (RFC 6455) that may send what no browser would."""

    def __init__(self, port: int, path: str, ticket: str) -> None:
        self._wire = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._wire.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: http://127.0.0.1:{port}\r\n"
            f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {b64encode(secrets.token_bytes(16)).decode()}\r\n"
            f"Sec-WebSocket-Protocol: carillon.feed, {ticket}\r\n\r\n".encode()
        )
        self._rest = b""
        while b"\r\n\r\n" not in self._rest:
            self._rest += self._wire.recv(4096)
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101"), head

    def send(self, payload: bytes, opcode: int = 1, *, last: bool = True) -> None:
        size = len(payload)
        length = (
            struct.pack("!B", 0x80 | size)
            if size < 126
            else struct.pack("!BH", 0xFE, size)
            if size < 65536
            else struct.pack("!BQ", 0xFF, size)
        )
        with suppress(OSError):  # it may hang up in the middle, which `closing` tells
            self._wire.sendall(struct.pack("!B", (0x80 if last else 0) | opcode) + length + b"\0\0\0\0" + payload)

    def announce(self, size: int) -> None:
        """The start of a text frame that will have so many bytes, and none of them."""
        self._wire.sendall(struct.pack("!BBQ", 0x81, 0xFF, size) + b"\0\0\0\0")

    def hear(self) -> tuple[int, bytes]:
        """The next frame: its opcode and payload; (8, b"") when the connection ended without one."""
        try:
            first, second = self._take(2)
            size = second & 0x7F
            if size == 126:
                (size,) = struct.unpack("!H", self._take(2))
            elif size == 127:
                (size,) = struct.unpack("!Q", self._take(8))
            return first & 0x0F, self._take(size)
        except (ConnectionError, EOFError):
            return 8, b""

    def closing(self) -> int:
        """The code the server closes with; 0 for none."""
        while True:
            opcode, payload = self.hear()
            if opcode == 8:
                return int(struct.unpack("!H", payload[:2])[0]) if payload else 0

    def close(self) -> None:
        self._wire.close()

    def _take(self, size: int) -> bytes:
        while len(self._rest) < size:
            more = self._wire.recv(65536)
            if not more:
                raise EOFError
            self._rest += more
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken


def _all(wire: socket.socket) -> bytes:
    received = b""
    try:
        while more := wire.recv(65536):
            received += more
    except ConnectionError:  # all it will say
        return received
    return received


def production(env: dict[str, str], **more: str) -> dict[str, str]:
    """An environment of settings as an installation behind HTTPS has them."""
    kept = {name: value for name, value in env.items() if name not in {"DEBUG", "DEMO", "HTTPS"}}
    return {
        **kept,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "SECRET_KEY": secrets.token_urlsafe(48),
        "PUBLIC_URL": "https://notify.example.com",
        "ALLOWED_HOSTS": "notify.example.com",
        "BEHIND_PROXY": "1",
        "BROKER_URL": "",
        "LOG_LEVEL": "ERROR",
        "PATH": os.environ["PATH"],
        **more,
    }
