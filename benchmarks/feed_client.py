"""The people of `benchmarks.feed`: many sockets in one process of their own, each as a page's client keeps it.

Everyone asks for a ticket with a feed token, opens the socket with it, pings every 25 s and after every hundred frames,
and comes back after a random pause with the newest id they know (`carillon-client.js`). Frames are kept as they came,
with their moment, and read afterwards: what this process spends between a frame and its moment is a loop's turn.
Commands come as a JSON object a line on stdin; each has one answer, a line on stdout. Moments are CLOCK_MONOTONIC,
which every process of a machine shares.
"""

import asyncio
import base64
import random
import resource
import secrets
import struct
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import orjson

PING_SECONDS = 25.0
ACK_FRAMES = 100
BACKOFF_SECONDS, BACKOFF_CAP_SECONDS = 0.5, 30.0
#: A page has no limit of its own on opening a socket; a run must end.
PATIENCE_SECONDS = 60.0

_TEXT, _CLOSE, _PING, _PONG = 1, 8, 9, 10


class Lost(Exception):
    """No ticket, no handshake, or closed by the server: its word for it."""


class Ask(asyncio.Protocol):
    """One HTTP request on a connection of its own; `answer` is all that came."""

    def __init__(self, request: bytes) -> None:
        self.request, self.received = request, b""
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.received += data

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.answer.done():
            self.answer.set_result(self.received)


class Screen(asyncio.Protocol):
    """One WebSocket (RFC 6455) after its upgrade; whole frames go to its person."""

    def __init__(self, person: "Person", request: bytes) -> None:
        self.person, self.request, self.buffer, self.upgraded = person, request, b"", False
        self.greeted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        self.buffer += data
        if not self.upgraded:
            head, end, rest = self.buffer.partition(b"\r\n\r\n")
            if not end:
                return
            if not head.startswith(b"HTTP/1.1 101"):
                self.fail(head[:60].decode("latin-1"))
                return
            self.upgraded, self.buffer = True, rest
        while (frame := self.next_frame()) is not None:
            self.heard(*frame, now)

    def next_frame(self) -> tuple[int, bytes] | None:
        """A server's frame: not masked, never in pieces, less than 64 KB."""
        buffer = self.buffer
        if len(buffer) < 2:
            return None
        size, start = buffer[1], 2
        if size == 126:
            if len(buffer) < 4:
                return None
            size, start = int.from_bytes(buffer[2:4]), 4
        if len(buffer) < start + size:
            return None
        self.buffer = buffer[start + size :]
        return buffer[0] & 0x0F, buffer[start : start + size]

    def heard(self, opcode: int, payload: bytes, now: float) -> None:
        if opcode == _TEXT:
            self.person.hear(payload, now)
            if not self.greeted.done():
                self.greeted.set_result(None)
        elif opcode == _PING:
            self.write(_PONG, payload)
        elif opcode == _CLOSE:
            self.fail(f"closed with {int.from_bytes(payload[:2])}")

    def say(self, text: bytes) -> None:
        self.write(_TEXT, text)

    def write(self, opcode: int, payload: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(struct.pack("!BB4x", 0x80 | opcode, 0x80 | len(payload)) + payload)

    def fail(self, why: str) -> None:
        self.transport.abort()
        self.person.lost(self, why)

    def connection_lost(self, exc: Exception | None) -> None:
        self.person.lost(self, "the connection ended")


@dataclass(eq=False)
class Person:
    """Someone with one tab open. `items` are frames with their moment; `newest` is the id to come back with."""

    n: int
    token: str
    crowd: "Crowd"
    items: list[tuple[float, bytes]] = field(default_factory=list)
    newest: str = ""
    frames: int = 0
    screen: Screen | None = None
    retries: int = 0

    async def come(self) -> tuple[float, float]:
        """Ticket, socket, `hello`: seconds for the first, and for the other two."""
        loop = asyncio.get_running_loop()
        began = time.monotonic()
        _, ask = await loop.create_connection(lambda: Ask(self.crowd.ticket_request(self.token)), *self.crowd.address)
        status, _, body = (await ask.answer).partition(b"\r\n\r\n")
        if not status.startswith(b"HTTP/1.1 201"):
            raise Lost(status[:60].decode("latin-1"))
        asked = time.monotonic()
        request = self.crowd.upgrade_request(orjson.loads(body)["ticket"], self.newest)
        _, self.screen = await loop.create_connection(lambda: Screen(self, request), *self.crowd.address)
        await self.screen.greeted
        loop.call_later(random.uniform(0, PING_SECONDS), self.ping, self.screen)
        return asked - began, time.monotonic() - asked

    async def insist(self) -> tuple[float, float]:
        """The same, again and again with full jitter, as a page does."""
        while True:
            try:
                return await asyncio.wait_for(self.come(), PATIENCE_SECONDS)
            except (OSError, Lost, TimeoutError):
                self.retries += 1
                window = min(BACKOFF_CAP_SECONDS, BACKOFF_SECONDS * 2.0 ** min(self.retries, 10))
                await asyncio.sleep(random.uniform(0, window))

    def ping(self, screen: Screen) -> None:
        if screen is self.screen:
            screen.say(b'{"type":"ping"}')
            asyncio.get_running_loop().call_later(PING_SECONDS, self.ping, screen)

    def hear(self, payload: bytes, now: float) -> None:
        self.frames += 1
        if self.frames % ACK_FRAMES == 0 and self.screen is not None:
            self.screen.say(b'{"type":"ping"}')
        if payload.startswith(b'{"type":"item"'):
            self.items.append((now, payload))
            self.crowd.arrived()

    def lost(self, screen: Screen, why: str) -> None:
        if not screen.greeted.done():
            screen.greeted.set_exception(Lost(why))
        elif screen is self.screen:
            self.screen = None
            self.crowd.losses[why] = self.crowd.losses.get(why, 0) + 1


class Crowd:
    """All of them, and the commands."""

    def __init__(self, host: str, port: int, tokens: list[str]) -> None:
        self.address = (host, port)
        self.origin = f"http://{host}:{port}"
        self.people = [Person(n, token, self) for n, token in enumerate(tokens)]
        self.losses: dict[str, int] = {}
        self.items, self.wanted = 0, 0
        self.enough = asyncio.Event()

    def ticket_request(self, token: str) -> bytes:
        return (
            f"POST /api/v1/feed/socket-ticket/ HTTP/1.1\r\nHost: {self.address[0]}:{self.address[1]}\r\n"
            f"Origin: {self.origin}\r\nAuthorization: Bearer {token}\r\nAccept: application/json\r\n"
            "Content-Length: 0\r\nConnection: close\r\n\r\n"
        ).encode()

    def upgrade_request(self, ticket: str, since: str) -> bytes:
        """With what a browser sends."""
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        return (
            f"GET /ws/feed/{f'?since={since}' if since else ''} HTTP/1.1\r\n"
            f"Host: {self.address[0]}:{self.address[1]}\r\nOrigin: {self.origin}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
            "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
            "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n"
            "Accept-Language: en-GB,en;q=0.8\r\nPragma: no-cache\r\nCache-Control: no-cache\r\n"
            f"Sec-WebSocket-Protocol: carillon.feed, {ticket}\r\n\r\n"
        ).encode()

    async def open(self, at_once: int, seconds: float, first: int | None = None) -> dict[str, Any]:
        """Everyone (or the first so many) who is not there yet, so many at a time."""
        gate = asyncio.Semaphore(at_once)

        async def one(person: Person) -> tuple[float, float]:
            async with gate:
                return await person.insist()

        return await self.all_of([one(person) for person in self.people[:first] if person.screen is None], seconds)

    async def storm(self, seconds: float) -> dict[str, Any]:
        """Everyone comes back after their first random pause; `back_at` has the seconds until each `hello`."""
        began = time.monotonic()
        back: list[float] = []

        async def one(person: Person) -> tuple[float, float]:
            await asyncio.sleep(random.uniform(0, BACKOFF_SECONDS))
            times = await person.insist()
            back.append(time.monotonic() - began)
            return times

        return {**await self.all_of([one(person) for person in self.people], seconds), "back_at": back}

    async def all_of(self, comings: list[Any], seconds: float) -> dict[str, Any]:
        """Who is not there after so many seconds gives up."""
        began = time.monotonic()
        before = sum(person.retries for person in self.people)
        done, late = await asyncio.wait([asyncio.ensure_future(coming) for coming in comings], timeout=seconds)
        for coming in late:
            coming.cancel()
        times = [coming.result() for coming in done]
        return {
            "opened": len(times),
            "seconds": time.monotonic() - began,
            "tickets": [ticket for ticket, _ in times],
            "handshakes": [handshake for _, handshake in times],
            "retries": sum(person.retries for person in self.people) - before,
        }

    async def drop(self) -> dict[str, Any]:
        """Cut every connection, as a network or a proxy does."""
        for person in self.people:
            screen, person.screen = person.screen, None
            if screen is not None:
                screen.transport.abort()
        return {}

    def arrived(self) -> None:
        self.items += 1
        if self.items >= self.wanted:
            self.enough.set()

    async def expect(self, items: int, seconds: float) -> dict[str, Any]:
        """What has arrived since the last time: [person, moment, id, link] each; returns early when it is as many."""
        self.wanted = items
        if self.items < items:
            self.enough.clear()
            with suppress(TimeoutError):  # the answer tells
                await asyncio.wait_for(self.enough.wait(), seconds)
        await asyncio.sleep(0.3)  # one too many would come now
        arrived = []
        for person in self.people:
            for moment, payload in person.items:
                item = orjson.loads(payload)["item"]
                person.newest = item["id"]
                arrived.append([person.n, moment, item["id"], item["link"]])
            person.items.clear()
        self.items = 0
        return {"arrived": arrived, "losses": self.losses, "frames": sum(person.frames for person in self.people)}


async def main() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    loop = asyncio.get_running_loop()
    crowd: Crowd | None = None
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        command = orjson.loads(line)
        do = command.pop("do")
        if crowd is None:
            crowd, answer = Crowd(**command), {"open_files": hard, "was": soft}
        else:
            answer = await getattr(crowd, do)(**command)
        sys.stdout.write(orjson.dumps(answer).decode() + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
