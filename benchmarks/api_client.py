"""The load of `benchmarks.api`: a process of its own that posts bodies over keep-alive connections.

    python -m benchmarks.api_client <folder> '{"port": ..., "path": ..., "token": ..., "connections": 50}'

The folder has `bodies`, a JSON document a line. Each connection posts one after the other, the next as soon as it has
the answer before (a closed loop). What it finds is left in the folder: `answers`, a line `<number of the body> <status>
<document>` each, and `figures`. Nothing is parsed during the run but heads of answers, so that a core is left to the
server.
"""

import asyncio
import json
import resource
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: Without an answer for this long the run has failed.
STALL_SECONDS = 60.0


@dataclass(slots=True)
class Load:
    """What to post, how, and what came of it. `seconds` 0: until the bodies are used up."""

    port: int
    path: str
    token: str
    connections: int
    bodies: list[bytes]
    seconds: float = 0.0
    key: str = ""  # the beginning of the Idempotency-Keys; none without it
    next: int = 0
    ends: float = 0.0
    answers: list[tuple[int, int, bytes]] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)

    def take(self) -> int | None:
        """The number of the body to post next; None when this is enough."""
        if self.next == len(self.bodies) or (self.ends and time.monotonic() >= self.ends):
            return None
        self.next += 1
        return self.next - 1

    def request(self, number: int) -> bytes:
        body = self.bodies[number]
        key = f"Idempotency-Key: {self.key}-{number}\r\n" if self.key else ""
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nAuthorization: Bearer {self.token}\r\n"
            f"Content-Type: application/json\r\nUser-Agent: benchmark\r\nAccept: */*\r\n{key}"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


class Connection(asyncio.Protocol):
    """One client: posts, waits for the whole answer, posts again. `done` fails when the server hangs up."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._parts: list[bytes] = []
        self._missing = 0  # bytes of the body to come; 0 while the head is read
        self._status = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def post(self) -> None:
        number = self.load.take()
        if number is None:
            self.done.set_result(None)
            self._transport.close()
            return
        self._number = number
        request = self.load.request(number)
        self._began = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        if not self._missing:
            head, end, data = b"".join((*self._parts, data)).partition(b"\r\n\r\n")
            if not end:
                self._parts = [head]
                return
            self._parts = []
            self._status, self._missing = int(head[9:12]), _length(head)
        self._parts.append(data)
        self._missing -= len(data)
        if self._missing == 0:
            self.load.milliseconds.append((time.perf_counter() - self._began) * 1000)
            self.load.answers.append((self._number, self._status, b"".join(self._parts)))
            self._parts = []
            self.post()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("The server hung up."))


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise ValueError("An answer without Content-Length.")


async def drive(load: Load) -> float:
    """Post everything; seconds from the first request to the last answer."""
    loop = asyncio.get_running_loop()
    clients = []
    for _ in range(load.connections):
        _, client = await loop.create_connection(lambda: Connection(load), "127.0.0.1", load.port)
        clients.append(client)
    began = time.monotonic()
    load.ends = began + load.seconds if load.seconds else 0.0
    for client in clients:
        client.post()
    async with asyncio.timeout(load.seconds + STALL_SECONDS):
        await asyncio.gather(*(client.done for client in clients))
    return time.monotonic() - began


def main() -> int:
    folder = Path(sys.argv[1])
    options: dict[str, Any] = json.loads(sys.argv[2])
    load = Load(bodies=(folder / "bodies").read_bytes().splitlines(), **options)
    used_before = resource.getrusage(resource.RUSAGE_SELF)
    elapsed = asyncio.run(drive(load))
    used = resource.getrusage(resource.RUSAGE_SELF)
    with (folder / "answers").open("wb") as out:
        out.writelines(b"%d %d %s\n" % answer for answer in load.answers)
    cpu = used.ru_utime + used.ru_stime - used_before.ru_utime - used_before.ru_stime
    figures = {"seconds": elapsed, "cpu_seconds": cpu, "milliseconds": load.milliseconds}
    (folder / "figures").write_text(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
