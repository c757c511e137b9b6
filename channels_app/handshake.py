"""Who is opening a socket, and from where: decided from the headers of its handshake.

A ticket (see `channels_app.tickets`) comes as `Sec-WebSocket-Protocol: carillon.feed, <ticket>`, the one header a page
can set: never in the URL, which gets logged. A session counts only from our own pages, so no other site can open a
socket with somebody's cookie. A feed token opens no socket: it lives for an hour and can be used again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import split_domain_port, validate_host

PROTOCOL = "carillon.feed"


class Origin(Enum):
    """Where a page that opens a socket comes from."""

    OWN = auto()  # this host
    ALLOWED = auto()  # a site named in FEED_ALLOWED_ORIGINS
    NONE = auto()  # not a browser: those always say
    FOREIGN = auto()


@dataclass(frozen=True, slots=True)
class Handshake:
    origin: Origin
    subprotocol: str | None
    ticket: str
    headers: Mapping[bytes, bytes]


def read(scope: Mapping[str, Any]) -> Handshake:
    """The parts of an ASGI websocket scope that decide."""
    headers = dict(scope["headers"])
    offered: list[str] = scope.get("subprotocols", [])
    ticket = next((value for value in offered if value != PROTOCOL), "")
    return Handshake(
        origin=_origin(headers),
        subprotocol=PROTOCOL if PROTOCOL in offered else None,
        ticket=ticket,
        headers=headers,
    )


def _origin(headers: Mapping[bytes, bytes]) -> Origin:
    origin = headers.get(b"origin", b"").decode("latin-1").rstrip("/").lower()
    if not origin:
        return Origin.NONE
    if origin in allowed_origins():
        return Origin.ALLOWED
    own = {_netloc(settings.PUBLIC_URL)}
    host = headers.get(b"host", b"").decode("latin-1").lower()
    if validate_host(split_domain_port(host)[0], settings.ALLOWED_HOSTS):
        own.add(host)
    return Origin.OWN if _netloc(origin) in own else Origin.FOREIGN


def allowed_origins() -> frozenset[str]:
    return frozenset(origin.rstrip("/").lower() for origin in settings.FEED_ALLOWED_ORIGINS)


def _netloc(url: str) -> str:
    try:
        return urlsplit(url).netloc.lower()
    except ValueError:
        return "?"  # no host is called that
