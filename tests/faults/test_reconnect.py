"""What dies is what everybody is connected to: they come back spread over time, and miss nothing."""

import asyncio
import base64
import json
import os
import time
from bisect import bisect_left

import pytest

from tests.faults.client import Client
from tests.faults.conftest import Servers
from tests.faults.flow import Flow
from tests.faults.programs import wait_until
from tests.faults.seed import KEY
from tests.faults.stack import Stack

pytestmark = [pytest.mark.faults, pytest.mark.rabbitmq]

WORKERS = 20
PEOPLE = 20
TABS = 25  # of each person: 500 sockets


def busiest(moments: list[float], seconds: float) -> int:
    """The most of these moments that lie within any `seconds`."""
    ordered = sorted(moments)
    return max(index + 1 - bisect_left(ordered, end - seconds) for index, end in enumerate(ordered))


def test_twenty_workers_come_back_to_the_broker_one_after_another(own: Servers, own_stack: Stack):
    _, client = own_stack.api()
    own_stack.environment |= {"WORKER_THREADS": "1", "DATABASE_POOL_SIZE": "2"}
    own_stack.relay()
    own_stack.manage("workers", "run_worker", "--channel", "email", "--processes", str(WORKERS))
    client.ready()
    proxy = own.proxies["rabbit"]
    wait_until(lambda: proxy.open >= WORKERS, 90, "the workers' connections")
    flow = Flow(own_stack, client)
    flow.post(5)
    proxy.refuse()
    time.sleep(8)
    flow.post(20)
    back = time.time()
    proxy.heal()

    wait_until(lambda: proxy.open >= WORKERS, 90, "the workers' return")
    returns = [moment for moment in proxy.taken if moment >= back]
    assert len(returns) >= WORKERS
    assert busiest(returns, 0.5) <= WORKERS
    flow.finish()


class Tab:
    """A page with the inbox open: a WebSocket without a library, which knows the last item it has seen."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.seen: list[str] = []
        self.greeted = 0

    async def open(self, client: Client) -> None:
        """Connect with a ticket of its own, and listen until the connection ends."""
        ticket = await asyncio.to_thread(
            lambda: client.call("POST", "/api/v1/feed/socket-ticket/", {}, token=self.token, timeout=60)
        )
        assert ticket.status == 201, ticket
        reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
        since = f"?since={self.seen[-1]}" if self.seen else ""
        key = base64.b64encode(os.urandom(16)).decode()
        writer.write(
            f"GET /ws/feed/{since} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Protocol: carillon.feed, {ticket.body['ticket']}\r\n\r\n".encode()
        )
        try:
            answer = await reader.readuntil(b"\r\n\r\n")
            assert b" 101 " in answer, answer
            while True:
                self._take(await _frame(reader))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def _take(self, frame: dict[str, object]) -> None:
        self.greeted += frame.get("type") == "hello"
        if frame.get("type") == "item":
            item = frame["item"]
            assert isinstance(item, dict)
            self.seen.append(str(item["id"]))


async def _frame(reader: asyncio.StreamReader) -> dict[str, object]:
    """The next text frame; a close is the end of the connection."""
    first, length = await reader.readexactly(2)
    if length == 126:
        length = int.from_bytes(await reader.readexactly(2))
    elif length == 127:
        length = int.from_bytes(await reader.readexactly(8))
    payload = await reader.readexactly(length)
    if first & 0x0F == 8:
        raise ConnectionError(payload)
    return dict(json.loads(payload)) if first & 0x0F == 1 else {}


async def test_five_hundred_sockets_come_back_at_once_and_have_missed_nothing(own: Servers, own_stack: Stack):
    own_stack.environment["FEED_SOCKETS_PER_RECIPIENT"] = str(TABS)
    program, client = own_stack.api()
    own_stack.relay()
    own_stack.worker("in_app")
    await asyncio.to_thread(client.ready)
    people = [f"person-{number}" for number in range(PEOPLE)]
    tokens = [
        client.call("POST", f"/api/v1/recipients/{person}/feed-token/", {}, token=KEY).body["token"]
        for person in people
    ]
    tabs = [Tab(token) for token in tokens for _ in range(TABS)]

    def say_something() -> None:
        for person in people:
            client.send(person, "in_app")

    async def everybody(count: int, what: str) -> None:
        deadline = time.monotonic() + 90
        while (left := sum(count != (tab.greeted if what == "greeted" else len(tab.seen)) for tab in tabs)) > 0:
            assert time.monotonic() < deadline, f"{left} tabs are not at {count} {what}"
            await asyncio.sleep(0.2)

    first = [asyncio.create_task(tab.open(client)) for tab in tabs]
    await everybody(1, "greeted")
    await asyncio.to_thread(say_something)
    await everybody(1, "seen")

    await asyncio.to_thread(program.kill)
    await asyncio.gather(*first)
    program, _ = own_stack.api(client.port)
    await asyncio.to_thread(client.ready)
    await asyncio.to_thread(say_something)  # nobody is connected: this is what they miss
    await asyncio.to_thread(own_stack.drain)
    second = [asyncio.create_task(tab.open(client)) for tab in tabs]
    await everybody(2, "seen")
    await asyncio.to_thread(say_something)
    await everybody(3, "seen")

    await asyncio.to_thread(program.kill)
    await asyncio.gather(*second)
    assert all(len(set(tab.seen)) == 3 for tab in tabs)
    by_person = [tabs[start : start + TABS] for start in range(0, len(tabs), TABS)]
    assert all(len({tuple(tab.seen) for tab in one}) == 1 for one in by_person)  # every tab agrees
