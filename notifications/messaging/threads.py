"""What both transports share: work threads that take, handle and settle, and a stop that drains them."""

import threading
import time
from queue import SimpleQueue

import structlog
from django.conf import settings
from django.db import close_old_connections, connection

from notifications.messaging.backoff import full_jitter
from notifications.messaging.base import Handler
from notifications.messaging.suspects import Guarded

log = structlog.get_logger(__name__)


class ThreadedConsumer:
    """`settings.WORKER_THREADS` threads that call `work_once` until `stop`; at most `settings.DRAIN_SECONDS` to finish.

    Each thread has its own Django connection, gives it back between batches and closes it at its end. An error that
    escapes `work_once` (PostgreSQL or the broker gone) is logged once and met with a growing pause.
    """

    #: Pause after an escaped error: first and widest window, seconds.
    pause_base = 0.1
    pause_cap = 5.0

    def __init__(self) -> None:
        # Not an Event: its lock isn't reentrant and `stop` runs in signal handlers; SimpleQueue.put is.
        self._stop_requests: SimpleQueue[None] = SimpleQueue()
        self.stopping = False

    def run(self, handle: Handler) -> None:
        guarded = Guarded(handle)
        threads = [
            threading.Thread(target=self._loop, args=(guarded,), name=f"work-{n}", daemon=True)
            for n in range(settings.WORKER_THREADS)
        ]
        self.opened()
        for thread in threads:
            thread.start()
        self._stop_requests.get()
        self.stopping = True
        self.draining()
        deadline = time.monotonic() + settings.DRAIN_SECONDS
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        late = sum(thread.is_alive() for thread in threads)
        if late:
            log.warning("work did not finish in time; it will be handed out again", threads=late)
        self.closed()

    def stop(self) -> None:
        """Ask `run` to drain and come back. Safe in a signal handler and from any thread."""
        self._stop_requests.put(None)

    def opened(self) -> None:
        """Before the first work thread starts."""

    def draining(self) -> None:
        """A stop was asked for: take nothing new."""

    def closed(self) -> None:
        """The work threads are done or out of time."""

    def work_once(self, handle: Handler) -> None:
        """Take one batch, handle and settle it; when there is none, wait a little and come back."""
        raise NotImplementedError

    def pause(self, seconds: float) -> None:
        """Sleep, but come back early when a stop was asked for."""
        until = time.monotonic() + seconds
        while not self.stopping and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))

    def _loop(self, handle: Handler) -> None:
        failures = 0
        try:
            while not self.stopping:
                try:
                    close_old_connections()
                    self.work_once(handle)
                    failures = 0
                except Exception as error:
                    failures += 1
                    if failures == 1:
                        log.exception("cannot take work; trying again", error=type(error).__name__)
                    self.pause(full_jitter(failures, base=self.pause_base, cap=self.pause_cap))
        finally:
            connection.close()
