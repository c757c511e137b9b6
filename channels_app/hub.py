"""Which sockets of this process wait for which person's messages: one subscription a person, one reader for all.

The channel layer would give every socket a channel, a queue and a task of its own, and every person's group a
subscription besides. Here the process has one channel, which joins the group of whoever has a socket open; a message
names its person (`live.publish`), and goes to that person's sockets.
"""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any, Protocol
from uuid import UUID
from weakref import WeakKeyDictionary

import structlog
from channels.layers import get_channel_layer
from prometheus_client import Metric

from channels_app import catch_up, live, standing, tickets
from channels_app.catch_up import Missed, Place
from channels_app.identity import Claim, Identity
from channels_app.standing import Standing
from channels_app.together import Together
from core import metrics
from core.redis import RedisError

log = structlog.get_logger(__name__)

#: Someone whose last socket is gone stays subscribed for so long. Most come back at once: a reload, another page, a
#: network that dropped everybody. Then nothing has to be undone and done again, for thousands at the same moment.
LINGER_SECONDS = 10.0


class Listener(Protocol):
    """A socket, as the hub knows it."""

    def tell(self, message: Mapping[str, Any]) -> None:
        """Take a message. Must not wait and must not raise: the next socket's turn comes when it returns."""
        ...


class Hub:
    """The sockets of one event loop, and what they ask the database together."""

    def __init__(self, layer: Any) -> None:
        self._layer = layer
        self._channel = ""
        self._sockets: dict[UUID, set[Listener]] = {}
        self._reader: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._left: set[UUID] = set()
        self._sweeper: asyncio.Task[None] | None = None
        self.redeeming: Together[str, Identity | None] = Together(tickets.redeem_all)
        self.catching_up: Together[Place, Missed] = Together(catch_up.catch_up)
        self.looking: Together[Claim, Standing] = Together(standing.look)

    async def start(self) -> None:
        """Listen, if nobody does yet. Raises RedisError."""
        async with self._starting:
            if self._reader is None:
                self._channel = await self._layer.new_channel()
                self._reader = asyncio.get_running_loop().create_task(self._read(self._channel))

    async def join(self, recipient_id: UUID, socket: Listener) -> None:
        """From here on what is published for the person is told to the socket. Raises RedisError."""
        self._sockets.setdefault(recipient_id, set()).add(socket)
        await self._layer.group_add(live.group(recipient_id), self._channel)

    def leave(self, recipient_id: UUID, socket: Listener) -> None:
        """Tell the socket nothing more. The person's subscription ends a while after their last one has left."""
        sockets = self._sockets.get(recipient_id, set())
        sockets.discard(socket)
        if sockets:
            return
        self._sockets.pop(recipient_id, None)
        self._left.add(recipient_id)
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().create_task(self._sweep())

    @property
    def open(self) -> int:
        """Sockets that have joined. Safe on any thread."""
        return sum(map(len, list(self._sockets.values())))

    async def _sweep(self) -> None:
        """End subscriptions one after the other, so that whoever joins meanwhile waits for one of them at most."""
        try:
            while self._left:
                await asyncio.sleep(LINGER_SECONDS)
                left, self._left = self._left, set()
                for recipient_id in left:
                    await self._unsubscribe(recipient_id)
        finally:
            self._sweeper = None

    async def _unsubscribe(self, recipient_id: UUID) -> None:
        if recipient_id in self._sockets:
            return
        try:
            await self._layer.group_discard(live.group(recipient_id), self._channel)
        except RedisError as error:
            log.info("feed.group_not_left", error=type(error).__name__)

    async def _read(self, channel: str) -> None:
        while True:
            try:
                message = await self._layer.receive(channel)
                recipient_id = UUID(bytes=message["to"])
            except (KeyError, TypeError, ValueError) as error:
                log.warning("feed.message_unreadable", error=type(error).__name__)
                continue
            for socket in tuple(self._sockets.get(recipient_id, ())):
                socket.tell(message)


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


class _Open:
    """For Prometheus, who asks on another thread."""

    def collect(self) -> Iterator[Metric]:
        family = metrics.gauge_family("feed_sockets", "Open inboxes of this process.")
        family.add_metric([], sum(hub.open for hub in list(_hubs.values())))
        yield family


metrics.registry.register(_Open())


async def here() -> Hub:
    """The hub of the running event loop, listening. Raises RedisError when it cannot."""
    loop, layer = asyncio.get_running_loop(), get_channel_layer()
    hub = _hubs.get(loop)
    if hub is None or hub._layer is not layer:
        hub = _hubs[loop] = Hub(layer)
    await hub.start()
    return hub
