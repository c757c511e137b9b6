"""How much one socket may ask of us, and the close codes that say so. Pure; `now` is a monotonic clock in seconds."""

from enum import IntEnum

#: Bytes of one frame from a client: a hundred ids fit.
MAX_FRAME_BYTES = 4096
#: Bytes at which the server cuts the connection without a word, so that a long frame is not held in memory first. Given
#: to daphne by whoever starts it.
CUT_BYTES = 65_536
#: Frames from one client: a burst, then so many a second. A person with a mouse makes one or two.
FRAME_BURST = 30.0
FRAMES_PER_SECOND = 5.0
#: Frames to a client that it has not answered with one of its own. Clients ping after every hundred, so one that is
#: this far behind does not read, and what is written to it only fills our memory.
MAX_UNANSWERED = 500
#: Without a frame from the client for so long, it is gone. Clients ping every 25 s, hidden tabs every minute or so.
IDLE_SECONDS = 150.0
#: How often, at most, a ping makes us compare the socket with the table and look at the session again.
RESYNC_SECONDS = 50.0


class Close(IntEnum):
    """Why we close: 4000 + the HTTP status that would say the same. RFC 6455 has 1009 and 1013 for two of these, but
    those are the protocol's own: a server such as daphne doesn't let an application send them (7.4.2)."""

    MALFORMED = 4400
    UNAUTHENTICATED = 4401
    ORIGIN = 4403
    TIMEOUT = 4408
    TOO_BIG = 4413
    TOO_MANY = 4429
    TRY_LATER = 4503


class Meter:
    """The accounts of one socket: a token bucket for what comes in, a tally for what goes out unanswered."""

    def __init__(self, now: float) -> None:
        self._tokens = FRAME_BURST
        self._filled_at = now
        self._unanswered = 0
        self.heard_at = now

    def received(self, now: float) -> bool:
        """Count a frame from the client; False when it sends too many."""
        self._tokens = min(FRAME_BURST, self._tokens + (now - self._filled_at) * FRAMES_PER_SECOND)
        self._filled_at = self.heard_at = now
        self._unanswered = 0
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def sent(self) -> bool:
        """Count a frame to the client; False when it has stopped reading."""
        self._unanswered += 1
        return self._unanswered <= MAX_UNANSWERED

    def silent_for(self, now: float) -> float:
        return now - self.heard_at
