"""Requests to an ASGI application without a socket, several at the same time if need be."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connections


@dataclass(frozen=True)
class Ask:
    """A request as a server hands it on. `headers` by name with underscores; a list of values stands several times."""

    method: str
    path: str
    body: bytes
    headers: dict[str, str | list[str]]
    scheme: str = "http"

    def scope(self) -> dict[str, Any]:
        headers = [
            (name.lower().replace("_", "-").encode(), value.encode("latin-1"))
            for name, given in self.headers.items()
            for value in (given if isinstance(given, list) else [given])
        ]
        return {
            "type": "http", "http_version": "1.1", "method": self.method, "scheme": self.scheme, "path": self.path,
            "raw_path": self.path.encode(), "root_path": "", "query_string": b"", "headers": headers,
            "client": ["127.0.0.1", 50000], "server": ["127.0.0.1", 8000],
        }  # fmt: skip


@dataclass(frozen=True)
class Told:
    """What it was answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def send(token: str, body: Any, *, path: str = "/api/v1/notifications/", scheme: str = "http", **headers: Any) -> Ask:
    """`POST notifications/` as most clients put it; a header given as None is left out."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    plain = {
        "Host": "127.0.0.1:8000", "Authorization": f"Bearer {token}", "Content_Type": "application/json",
        "Content_Length": str(len(raw)),
    }  # fmt: skip
    return Ask("POST", path, raw, {k: v for k, v in (plain | headers).items() if v is not None}, scheme)


def ask(application: Any, *asks: Ask) -> list[Told]:
    """Make the requests, all at the same time; the answers in the same order."""

    async def everyone() -> list[Told]:
        return await asyncio.gather(*(_one(application, one) for one in asks))

    try:
        return asyncio.run(everyone())
    finally:
        connections.close_all()


async def _one(application: Any, one: Ask) -> Told:
    half = len(one.body) // 2  # as a server does with what is longer than its buffer
    messages = iter(_messages([one.body[:half], one.body[half:]]))
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return next(messages)

    async def keep(message: dict[str, Any]) -> None:
        sent.append(message)

    await application(one.scope(), receive, keep)
    headers = {name.decode().lower(): value.decode("latin-1") for name, value in sent[0]["headers"]}
    assert len(headers) == len(sent[0]["headers"]), "a header stands twice"
    return Told(sent[0]["status"], headers, b"".join(message["body"] for message in sent[1:]))


def _messages(parts: Sequence[bytes]) -> list[dict[str, Any]]:
    more = [{"type": "http.request", "body": part, "more_body": n < len(parts)} for n, part in enumerate(parts, 1)]
    return [*more, {"type": "http.disconnect"}]
