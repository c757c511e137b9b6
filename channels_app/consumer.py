"""The feed socket: the table is the truth, and this tells of it without a gap.

Items reach a socket in the order of their numbers. One that comes out of turn is a sign that another was not (yet)
published, so the missing ones are read from the table first; one that was sent already is dropped. A message that got
lost altogether is noticed by its version at the next ping. What a client knows is always a prefix of the truth.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import parse_qs
from uuid import UUID

import orjson
import structlog
from channels.consumer import get_handler_name
from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.db import InterfaceError, OperationalError

from channels_app import catch_up, frames, handshake, hub, identity, limits, live, state
from channels_app.identity import Identity
from channels_app.limits import Close
from channels_app.threads import in_thread
from core.redis import RedisError

log = structlog.get_logger(__name__)


class FeedConsumer(AsyncWebsocketConsumer):
    """One tab. Docs of the frames: `channels_app.frames`; of the bounds and close codes: `channels_app.limits`."""

    #: Open sockets of each recipient in this process.
    open_sockets: ClassVar[Counter[UUID]] = Counter()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.who: Identity | None = None
        self.joined = self.closed = False
        self.meter = limits.Meter(time.monotonic())
        self.resynced_at = self.meter.heard_at
        self.inbox: list[Mapping[str, Any]] = []  # told by the hub, not yet handled
        self.turn = asyncio.Lock()  # one message at a time, the client's or the hub's
        self.reading: asyncio.Task[None] | None = None
        self.last_seq = 0  # every item up to this number was sent
        self.version = 0  # every change up to this version was sent,
        self.ahead: set[int] = set()  # and these beyond it
        self.counts_version = -1
        self.states_version = 0  # of the latest states that were sent,
        self.greeted_version = 0  # and of the latest hello
        self.watchdog: asyncio.TimerHandle | None = None

    # --- the frame around it ------------------------------------------------------------------------------------

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Unlike the parent's: no channel of its own on the layer, and no task that waits while nothing happens."""
        self.scope, self.base_send = scope, send
        try:
            self.hub = await hub.here()
            while True:
                message = await receive()
                async with self.turn:
                    await self.dispatch(message)
        except StopConsumer:
            pass
        except RedisError as error:  # no channel to listen on; the client falls back to asking the API
            log.warning("feed.no_channel_layer", error=type(error).__name__)
            await send({"type": "websocket.close", "code": Close.TRY_LATER})
        finally:
            self._let_go()

    def tell(self, message: Mapping[str, Any]) -> None:
        """A message of the channel layer. Beyond the bound it is dropped: its number or version will be missed."""
        if not self.closed and len(self.inbox) < limits.MAX_UNANSWERED:
            self.inbox.append(message)
            if self.reading is None:
                self.reading = asyncio.get_running_loop().create_task(self._read())

    async def _read(self) -> None:
        try:
            async with self.turn:
                while self.inbox:
                    messages, self.inbox = self.inbox, []
                    for message in messages:
                        await self.dispatch(message)
        except StopConsumer:
            pass
        except Exception:
            log.exception("feed.socket_failed")
            await self._leave(Close.TRY_LATER)
        finally:
            self.reading = None

    async def dispatch(self, message: Mapping[str, Any]) -> None:
        """Like the parent's, without its hop to another thread per message: connections are closed by `in_thread`."""
        handler = getattr(self, get_handler_name(message))
        if self.closed and message["type"] != "websocket.disconnect":
            return
        try:
            await handler(message)
        except (OperationalError, InterfaceError, RedisError) as error:
            log.warning("feed.socket_interrupted", error=type(error).__name__)
            await self._leave(Close.TRY_LATER)

    async def websocket_disconnect(self, message: Mapping[str, Any]) -> None:
        self.closed = True
        raise StopConsumer

    async def connect(self) -> None:
        """Accept first: only an accepted socket can be closed with a code that a page can read."""
        asked = handshake.read(self.scope)
        await self.accept(asked.subprotocol)
        self._watch(limits.IDLE_SECONDS)
        if asked.origin is handshake.Origin.FOREIGN:
            return await self._leave(Close.ORIGIN)
        self.who = await self._identify(asked)
        if self.who is None:
            return await self._leave(Close.UNAUTHENTICATED)
        if self.open_sockets[self.who.recipient_id] >= settings.FEED_SOCKETS_PER_RECIPIENT:
            return await self._leave(Close.TOO_MANY)
        self.open_sockets[self.who.recipient_id] += 1
        self.joined = True
        # Join before reading: what is committed from here on is published to us, what came before is read.
        await self.hub.join(self.who.recipient_id, self)
        since = parse_qs(self.scope["query_string"].decode("latin-1")).get("since", [""])[0]
        await self._greet(catch_up.place(self.who.recipient_id, since))

    async def _identify(self, asked: handshake.Handshake) -> Identity | None:
        """The recipient, by ticket, or on our own pages by session. Uses the ticket up; `RedisError` when nobody can
        tell whether it was used."""
        if asked.ticket:
            return await self.hub.redeeming.ask(asked.ticket)
        if asked.origin is handshake.Origin.OWN:
            return await in_thread(identity.from_headers, asked.headers)
        return None

    # --- what the client says ------------------------------------------------------------------------------------

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if not self.meter.received(time.monotonic()):
            return await self._leave(Close.TOO_MANY)
        if len(bytes_data or b"") + len((text_data or "").encode()) > limits.MAX_FRAME_BYTES:
            return await self._leave(Close.TOO_BIG)
        try:
            frame = orjson.loads(text_data or "")
            kind = frame["type"]
            if kind == "ping":
                return await self._pong()
            if kind not in {"seen", "read", "archive"}:
                return await self._leave(Close.MALFORMED)
            ids = [UUID(id) for id in frame["ids"]]
        except (ValueError, TypeError, KeyError, AttributeError):
            return await self._leave(Close.MALFORMED)
        if not 0 < len(ids) <= state.MAX_IDS:
            return await self._leave(Close.MALFORMED)
        await in_thread(state.change, self._me(), kind, ids)  # which tells every tab, this one too

    async def _pong(self) -> None:
        await self._say(frames.PONG)
        if time.monotonic() - self.resynced_at < limits.RESYNC_SECONDS:
            return
        self.resynced_at = time.monotonic()
        if self.who is None:
            return
        now = await self.hub.looking.ask(self.who.claim)
        if now.who != self.who:
            return await self._leave(Close.UNAUTHENTICATED)  # signed out, erased, or the token ran out
        if now.version != self.version:
            await self._greet(catch_up.Place(self.who.recipient_id, after=self.last_seq))

    # --- what the channel layer says ---------------------------------------------------------------------------

    async def feed_items(self, message: Mapping[str, Any]) -> None:
        """New items; see `channels_app.provider.announce`. What was overtaken by a change of states (of all that were
        unread, for example) may be among what that change was about, so it is read anew."""
        if message["version"] < self.states_version:
            await self._fill_gap()
        for seq, frame in message["items"]:
            if seq > self.last_seq + 1:
                await self._fill_gap()
            if seq == self.last_seq + 1:
                await self._say(frame)
                self.last_seq = seq
        await self._settle(message)

    async def feed_state(self, message: Mapping[str, Any]) -> None:
        """States changed in some tab; see `channels_app.state`. Of two that came in the wrong order nobody can tell
        which holds, so the client is told to look."""
        if message["version"] <= self.greeted_version:
            return  # what the client reads after a hello is younger
        if message["version"] < self.states_version:
            return await self._greet(catch_up.Place(self._me(), after=self.last_seq))
        self.states_version = message["version"]
        await self._say(message["frame"])
        await self._settle(message)

    async def feed_ended(self, message: Mapping[str, Any]) -> None:
        """A session ended, or with no session named, the person is gone; see `live.end`."""
        if not message["session"] or (self.who is not None and message["session"] == live.mark(self.who.session_key)):
            await self._leave(Close.UNAUTHENTICATED)

    async def feed_revoked(self, message: Mapping[str, Any]) -> None:
        """The person's feed tokens are good no more; what a session opened stays. See `live.end_tokens`."""
        if self.who is not None and self.who.until:
            await self._leave(Close.UNAUTHENTICATED)

    async def _settle(self, message: Mapping[str, Any]) -> None:
        """Note a version as sent, and pass its counts on unless younger ones went out already."""
        if message["version"] > self.version and len(self.ahead) < limits.MAX_UNANSWERED:
            self.ahead.add(message["version"])
        while self.version + 1 in self.ahead:
            self.version += 1
            self.ahead.discard(self.version)
        if message["counts_version"] > self.counts_version:
            self.counts_version = message["counts_version"]
            await self._say(message["counts"])

    async def _fill_gap(self) -> None:
        missed = await self.hub.catching_up.ask(catch_up.Place(self._me(), after=self.last_seq))
        if missed.reset:
            await self._hello(missed)
        await self._send_missed(missed)

    # --- what we say --------------------------------------------------------------------------------------------

    async def _greet(self, place: catch_up.Place) -> None:
        """`hello`, then what was missed."""
        missed = await self.hub.catching_up.ask(place)
        await self._hello(missed)
        await self._send_missed(missed)

    async def _hello(self, missed: catch_up.Missed) -> None:
        self.version = self.counts_version = missed.counts.version
        self.greeted_version = self.version
        self.ahead = {version for version in self.ahead if version > self.version}
        await self._say(frames.hello(missed.counts, missed.latest, reset=missed.reset))

    async def _send_missed(self, missed: catch_up.Missed) -> None:
        for _, frame in missed.items:
            await self._say(frame)
        self.last_seq = max(self.last_seq, missed.last_seq)

    async def _say(self, frame: str) -> None:
        if self.closed:
            return
        if not self.meter.sent():
            return await self._leave(Close.TIMEOUT)
        await self.send(text_data=frame)

    def _me(self) -> UUID:
        if self.who is None:
            raise StopConsumer
        return self.who.recipient_id

    # --- leaving -------------------------------------------------------------------------------------------------

    async def _leave(self, code: Close) -> None:
        if not self.closed:
            self.closed = True
            log.info("feed.socket_closed", code=int(code))
            await self.close(int(code))

    def _let_go(self) -> None:
        """Give back what the socket held, however it ended."""
        if self.watchdog is not None:
            self.watchdog.cancel()
        if self.joined and self.who is not None:
            self.hub.leave(self.who.recipient_id, self)
            self.open_sockets[self.who.recipient_id] -= 1
            if self.open_sockets[self.who.recipient_id] <= 0:
                del self.open_sockets[self.who.recipient_id]

    def _watch(self, seconds: float) -> None:
        """Look again when the client would have been silent for too long."""
        self.watchdog = asyncio.get_running_loop().call_later(seconds, self._check_silence)

    def _check_silence(self) -> None:
        left = limits.IDLE_SECONDS - self.meter.silent_for(time.monotonic())
        if left > 0:
            self._watch(left)
        else:
            self.farewell = asyncio.ensure_future(self._leave(Close.TIMEOUT))  # kept, or it could be collected
