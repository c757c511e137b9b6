"""What the sandbox lays over simulated providers, as this process knows it: at most about a second old."""

import threading
import time
from collections.abc import Mapping

import structlog
from django.db import connection

from notifications.models import SandboxState

log = structlog.get_logger(__name__)

#: A change reaches every process within this and the time of one query.
READ_EVERY_SECONDS = 1.0
_NOTHING: Mapping[str, object] = {}


class StateReader:
    """All providers' options of the sandbox, by one query. What was read last stays true while PostgreSQL is away."""

    def __init__(self) -> None:
        self._known: dict[str, Mapping[str, object]] = {}
        self._due = 0.0
        self._has_read = False
        self._reading = threading.Lock()

    def is_due(self) -> bool:
        return time.monotonic() >= self._due

    def of(self, provider: str) -> Mapping[str, object]:
        """What was last read; empty when the provider is as its settings say."""
        return self._known.get(provider, _NOTHING)

    def read(self) -> None:
        """Read anew if that is due. While another thread is at it, what was known goes on; only the first time there
        is nothing to go on with. Never raises. For threads other than the caller's own: it closes the connection it
        used, which goes back to the pool."""
        if not self._reading.acquire(blocking=not self._has_read):
            return
        try:
            if self.is_due():
                self._due = time.monotonic() + READ_EVERY_SECONDS
                self._known = dict(SandboxState.objects.values_list("provider", "options"))
        except Exception as error:  # a sandbox is no reason to stop sending
            log.warning("simulator.state_unread", error=type(error).__name__)
        finally:
            self._has_read = True
            connection.close()
            self._reading.release()

    def forget(self) -> None:
        """Read at the next call, whatever was known: a change in this process is seen by it at once."""
        self._known, self._due, self._has_read = {}, 0.0, False


states = StateReader()
