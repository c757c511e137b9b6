"""Connections to the broker: a short-lived one for administration, and the Link of a publisher or a consumer."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pika
import structlog
from django.conf import settings
from pika.adapters.blocking_connection import BlockingConnection
from pika.channel import Channel
from pika.exceptions import AMQPError, ConnectionWrongStateError

from notifications.errors import BrokerUnavailable

log = structlog.get_logger(__name__)

HEARTBEAT_SECONDS = 30  # unless BROKER_URL has ?heartbeat=; a dead peer is noticed within two of them
CONNECT_SECONDS = 10.0  # TCP, TLS and AMQP handshake together
BLOCKED_SECONDS = 60.0  # a connection the broker has blocked this long (memory or disk alarm) is given up
CLOSE_SECONDS = 3.0  # a graceful close; then the socket is cut
HUNG_UP = "the broker hung up"


def parameters(purpose: str) -> pika.URLParameters:
    """How to reach settings.BROKER_URL; `purpose` is the name the broker's own pages show."""
    asked = pika.URLParameters(settings.BROKER_URL)
    asked.client_properties = {"connection_name": f"{settings.BROKER_PREFIX} {purpose} {os.getpid()}"}
    asked.connection_attempts = 1  # trying again is the caller's, with jitter
    asked.socket_timeout = asked.stack_timeout = CONNECT_SECONDS
    asked.blocked_connection_timeout = BLOCKED_SECONDS
    if asked.heartbeat is None:
        asked.heartbeat = HEARTBEAT_SECONDS
    return asked


@contextmanager
def short_lived(purpose: str) -> Iterator[BlockingConnection]:
    """A blocking connection for a few calls. Raises BrokerUnavailable for whatever goes wrong with it."""
    try:
        connection = _connect(purpose)
        try:
            yield connection
        finally:
            with suppress(AMQPError, OSError):
                connection.close()
    except (AMQPError, OSError) as error:
        raise BrokerUnavailable(describe(error)) from error


def _connect(purpose: str) -> BlockingConnection:
    try:
        return BlockingConnection(parameters(purpose))
    except ValueError as error:  # pika's word for a peer that is gone again before it could look who it is
        raise BrokerUnavailable(HUNG_UP) from error


def describe(error: BaseException | None) -> str:
    """One line about a connection's end; pika likes to wrap the reason in two more exceptions."""
    while isinstance(getattr(error, "exceptions", None), (list, tuple)) and error.exceptions:  # type: ignore[union-attr]  # pika's AMQPConnectionWorkflowFailed
        error = error.exceptions[-1]  # type: ignore[union-attr]  # likewise
    error = getattr(error, "exception", None) or error
    return f"{type(error).__name__}: {error}"[:300]


class Link:
    """One AMQP connection with one channel, served by an I/O thread that never works.

    The thread keeps the heartbeats while others are busy. A link lives once: when it is lost it stays lost, its owner
    opens the next, and whatever was meant for the old one is dropped.
    """

    def __init__(
        self, purpose: str, *, setup: Callable[[Channel], None], on_lost: Callable[[str], None] | None = None
    ) -> None:
        """`setup` is called once on the I/O thread with the open channel; `on_lost` once, on it, with the reason."""
        self._purpose = purpose
        self._setup = setup
        self._on_lost = on_lost
        self._settled = threading.Event()  # open, or lost before it was
        self.lost = threading.Event()
        self.reason = ""
        self.blocked = False
        self._connection: Any = None
        self._shook_hands = False
        self._channel: Channel | None = None
        self._thread = threading.Thread(target=self._serve, name=f"amqp-{purpose}", daemon=True)

    def open(self) -> None:
        """Connect and wait until the channel is set up. Raises BrokerUnavailable."""
        self._thread.start()
        if not self._settled.wait(CONNECT_SECONDS + 5):
            self.close()
            raise BrokerUnavailable("the broker did not answer in time")
        if self.lost.is_set():
            raise BrokerUnavailable(self.reason)

    @property
    def is_open(self) -> bool:
        """Whether calls still reach the broker. The channel is asked too: a broker may close it on its own."""
        channel = self._channel
        return channel is not None and channel.is_open and not self.lost.is_set()

    def call(self, action: Callable[[Channel], None]) -> None:
        """Run `action(channel)` on the I/O thread, from any thread; dropped when the link is lost."""
        self._schedule(lambda: self._run(action))

    def close(self) -> None:
        """Close gracefully, after the calls made before; cut the socket if that takes too long. Safe to call twice."""
        self._schedule(lambda: self._begin_close("closed"))
        if not self._ended():
            self.cut()

    def cut(self) -> None:
        """Give the connection up without the courtesies: the broker does not answer any more."""
        self._schedule(lambda: self._terminate("given up"))
        self._ended()

    def _ended(self) -> bool:
        if self._thread.ident is not None:  # started
            self._thread.join(CLOSE_SECONDS)
        return not self._thread.is_alive()

    def _schedule(self, callback: Callable[[], None]) -> None:
        connection = self._connection
        if connection is not None and not self.lost.is_set():
            # A loop that has just ended refuses; its link is lost, and what was meant for it with it.
            with suppress(Exception):
                connection.ioloop.add_callback_threadsafe(callback)

    # --- on the I/O thread --------------------------------------------------------------------------------------

    def _serve(self) -> None:
        try:
            self._connection = pika.SelectConnection(
                parameters(self._purpose),
                on_open_callback=self._opened,
                on_open_error_callback=lambda _connection, error: self._end(describe(error)),
                on_close_callback=lambda _connection, error: self._end(describe(error)),
            )
            self._connection.add_on_connection_blocked_callback(lambda *_: self._mark_blocked(True))
            self._connection.add_on_connection_unblocked_callback(lambda *_: self._mark_blocked(False))
            self._connection.ioloop.start()
        except Exception as error:
            if self._is_hang_up(error):
                self._abort(HUNG_UP)
            else:
                log.exception("the connection's thread failed", purpose=self._purpose)
                self._abort(describe(error))
        finally:
            self._end(self.reason or "the connection ended")

    def _is_hang_up(self, error: Exception) -> bool:
        """Whether the peer was gone again before the two had shaken hands, when nothing of ours can have failed yet.
        Most such ends pika reports, some it raises. Whoever opens the link is told, and logs it."""
        began = self._connection is not None
        return began and not self._shook_hands and isinstance(error, (AMQPError, OSError, ValueError))

    def _opened(self, connection: Any) -> None:
        self._shook_hands = True
        connection.channel(on_open_callback=self._channel_opened)

    def _channel_opened(self, channel: Channel) -> None:
        channel.add_on_close_callback(lambda _channel, error: self._begin_close(describe(error)))
        self._channel = channel
        self._setup(channel)
        # The broker answers in order: once this came back, everything `setup` asked for is in place.
        channel.basic_qos(callback=lambda _frame: self._settled.set())

    def _run(self, action: Callable[[Channel], None]) -> None:
        if self._channel is not None and not self.lost.is_set():
            try:
                action(self._channel)
            except (AMQPError, OSError) as error:
                self._begin_close(describe(error))

    def _begin_close(self, reason: str) -> None:
        self.reason = self.reason or reason
        with suppress(ConnectionWrongStateError):  # closing or closed already
            if not (self._connection.is_closing or self._connection.is_closed):
                self._connection.close()

    def _mark_blocked(self, blocked: bool) -> None:
        self.blocked = blocked
        log.warning("the broker blocks publishing" if blocked else "the broker takes messages again")

    def _terminate(self, reason: str) -> None:
        # pika has no public way to end a connection whose peer is silent; a close frame would wait for an answer.
        if not self._connection.is_closed:
            self._connection._terminate_stream(BrokerUnavailable(reason))

    def _abort(self, reason: str) -> None:
        """The loop raised: don't leave the socket open behind a thread that is gone."""
        self.reason = reason
        if self._connection is not None and not self._connection.is_closed:
            with suppress(Exception):
                self._terminate(self.reason)
                self._connection.ioloop.start()

    def _end(self, reason: str) -> None:
        if self.lost.is_set():
            return
        self.reason = self.reason or reason
        self.lost.set()
        self._settled.set()
        if self._connection is not None:
            self._connection.ioloop.stop()
        if self._on_lost is not None:
            self._on_lost(self.reason)
