"""A careful client of the API, and its journal: the first of the ledger's three books."""

import http.client
import json
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from tests.faults.programs import wait_until
from tests.faults.seed import CATEGORY, KEY

CONTENT = {
    "email": {"subject": "Fault", "text": "One of the ledger's."},
    "sms": {"body": "One of the ledger's."},
    "push": {"title": "Fault", "body": "One of the ledger's."},
    "in_app": {"title": "Fault", "body": "One of the ledger's."},
}


@dataclass(frozen=True, slots=True)
class Accepted:
    """A 202 in hand. `answered` is the client's clock, in Unix seconds, after the answer had come."""

    id: str
    recipient: str
    channels: tuple[str, ...]
    answered: float
    expires: float | None = None


@dataclass(slots=True)
class Book:
    """What a client was told. Written by several threads."""

    accepted: list[Accepted] = field(default_factory=list)
    cancelled: dict[str, float] = field(default_factory=dict)  # notification -> when the 200 was in hand
    opted_out: dict[tuple[str, str], float] = field(default_factory=dict)  # (recipient, channel) -> likewise
    retries: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: Any
    headers: dict[str, str]
    seconds: float


class Client:
    """Posts with an Idempotency-Key, and again with the same key until it has an answer it can book."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.book = Book()
        self._lock = threading.Lock()

    def ready(self, seconds: float = 45.0) -> None:
        """Wait until the process answers; PostgreSQL need not."""
        wait_until(lambda: self._try("GET", "/healthz") is not None, seconds, "the API's first answer")

    def call(
        self, method: str, path: str, body: Any = None, *, key: str = "", timeout: float = 15.0, token: str = KEY
    ) -> Answer:
        """One request. Raises OSError or http.client.HTTPException when there was no answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        if key:
            headers["Idempotency-Key"] = key
        began = time.monotonic()
        try:
            encoded = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
            connection.request(method, path, encoded, headers)
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        is_json = "json" in response.headers.get("Content-Type", "")
        read = json.loads(content) if is_json and content else content
        return Answer(response.status, read, dict(response.headers), time.monotonic() - began)

    def send(
        self, recipient: str, *channels: str, key: str = "", patience: float = 120.0, lasts: float = 0.0, **more: Any
    ) -> str:
        """Until it is accepted; the notification's id, booked. `lasts`: seconds until it expires."""
        channels = channels or ("email",)
        body = draft(recipient, *channels, **more)
        expires = time.time() + lasts if lasts else None
        if expires:
            body["expires_at"] = (
                time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(expires)) + f".{int(expires % 1 * 1000):03d}Z"
            )
        answer = self._insist("POST", "/api/v1/notifications/", body, key or str(uuid.uuid4()), patience)
        if answer.status != 202 and expires and time.time() > expires:
            return ""  # it expired while nobody answered, and is refused for that
        assert answer.status == 202, f"{answer.status}: {answer.body}"
        made = str(answer.body["id"])
        with self._lock:
            self.book.accepted.append(Accepted(made, recipient, channels, time.time(), expires))
        return made

    def cancel(self, notification: str) -> bool:
        """Whether it was stopped; False when it had left."""
        answer = self._insist("POST", f"/api/v1/notifications/{notification}/cancel/", None, "", 120.0)
        if answer.status == 200:
            with self._lock:
                self.book.cancelled[notification] = time.time()
        return answer.status == 200

    def opt_out(self, recipient: str, channel: str) -> None:
        body = {"preferences": [{"category": None, "channel": channel, "enabled": False}]}
        answer = self._insist("PATCH", f"/api/v1/recipients/{recipient}/preferences/", body, "", 120.0)
        assert answer.status == 200, f"{answer.status}: {answer.body}"
        with self._lock:
            self.book.opted_out[(recipient, channel)] = time.time()

    def _insist(self, method: str, path: str, body: Any, key: str, patience: float) -> Answer:
        """Ask until there is an answer that stands: neither a failure, nor "in flight", nor "later"."""
        deadline = time.monotonic() + patience
        pause = 0.05
        while True:
            answer = self._try(method, path, body, key=key)
            in_flight = answer is not None and answer.status == 409 and "Retry-After" in answer.headers
            if answer is not None and answer.status < 500 and answer.status != 429 and not in_flight:
                return answer
            assert time.monotonic() < deadline, f"{method} {path} had no lasting answer for {patience:g} s: {answer}"
            with self._lock:
                self.book.retries += 1
            time.sleep(pause)
            pause = min(pause * 2, 1.0)

    def _try(self, method: str, path: str, body: Any = None, *, key: str = "") -> Answer | None:
        try:
            return self.call(method, path, body, key=key)
        except (OSError, http.client.HTTPException, ValueError):
            return None


def draft(recipient: str, *channels: str, **more: Any) -> dict[str, Any]:
    """A request's body with content for these channels."""
    return {
        "recipient": recipient,
        "category": CATEGORY,
        "channels": list(channels),
        "content": {channel: CONTENT[channel] for channel in channels},
        **more,
    }
