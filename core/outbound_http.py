"""HTTP to URLs that somebody gave us: a customer's webhook, an alert's route.

Such a URL is not trusted. It is resolved once, every address it resolves to is judged (core.outbound_addresses), and
the connection goes to the address that was judged: the name is not asked again in between. No redirect is followed, no
proxy of the environment used, no cookie kept, no body unpacked; the time is bounded as a whole, and so is what is read.
`settings.OUTBOUND_ALLOW_PRIVATE` names the networks of one's own that may be reached all the same.
"""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from django.conf import settings

from core.outbound_addresses import Network, is_allowed, networks

#: Characters of a URL.
MAX_URL = 2000
#: Below 1024 live mail, DNS, directories: who speaks HTTP to them means no good.
LOW_PORTS = frozenset({80, 443})
#: A total that suits a service which answers first and works later.
TIMEOUT_SECONDS = 10.0
#: Of an answer's body, what is read; and how long is waited for it once its status has come.
READ_BYTES = 1024
READ_SECONDS = 2.0
#: Connections of one client, to one host or many. Who waits for one does so in its request's time.
CONNECTIONS = 100

#: Host and port to addresses; raises OSError for a name nobody knows.
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class OutboundRefused(ValueError):
    """This URL is not asked: it is none, or leads where none may. Trying again changes nothing; the text says why."""


class OutboundFailed(Exception):
    """No answer came. `kind`: "dns", "connect", "tls", "timeout" or "broken" (the connection, or what came over it).
    What was sent may have arrived all the same, but for the first three."""

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(detail or kind)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status, `Retry-After` as it was sent, the first bytes of the body, and the seconds it took.
    A redirect is an answer like any other."""

    status: int
    retry_after: str
    body: bytes
    seconds: float

    @property
    def is_ok(self) -> bool:
        return 200 <= self.status < 300


def check_url(url: str) -> None:
    """Raises OutboundRefused for what can be seen to be refused without asking anyone: for forms and the API."""
    if len(url) > MAX_URL:
        raise OutboundRefused(f"A URL has at most {MAX_URL} characters.")
    if not url.isprintable() or any(c in url for c in " \\"):
        raise OutboundRefused("A URL has no spaces, backslashes or control characters.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise OutboundRefused("This is not a URL.") from None
    if parts.scheme not in {"http", "https"}:
        raise OutboundRefused("A URL begins with https:// or http://.")
    if not host:
        raise OutboundRefused("A URL names a host.")
    if parts.username is not None or parts.password is not None:
        raise OutboundRefused("A URL carries no user name or password.")
    if port is not None and port < 1024 and port not in LOW_PORTS:
        raise OutboundRefused("The port is 80, 443, or 1024 and more.")
    # An address in the URL. Its other spellings (0x7f.1, 2130706433) are names here, and judged once resolved.
    if (":" in host or host.replace(".", "").isdigit()) and not is_allowed(host, _own_networks()):
        raise OutboundRefused("The URL leads to an address that is not on the public internet.")


class Outbound:
    """A client for one event loop, to be closed. Keeps connections open for the next request; safe for many at once.

    `resolve` is for tests.
    """

    def __init__(self, *, resolve: Resolve | None = None) -> None:
        self._resolve = resolve or _look_up
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def request(
        self,
        method: str,
        url: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        timeout: float = TIMEOUT_SECONDS,  # noqa: ASYNC109 - covers the request as a whole, kept by aiohttp
    ) -> Answer:
        """Ask once. Raises OutboundRefused and OutboundFailed, and nothing else of the network's."""
        check_url(url)
        begun = time.monotonic()
        try:
            response = await self._opened().request(
                method,
                url,
                data=body or None,
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=timeout),
            )
            async with response:
                read = await _read(response)
                return Answer(
                    response.status, response.headers.get("Retry-After", "")[:64], read, time.monotonic() - begun
                )
        except TimeoutError as error:
            raise OutboundFailed("timeout", f"No answer within {timeout:g} seconds.") from error
        except (aiohttp.InvalidURL, UnicodeError) as error:
            raise OutboundRefused("This is not a URL.") from error
        except (aiohttp.ClientError, OSError) as error:
            raise _failed(error) from error

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                resolver=_Judge(self._resolve),
                use_dns_cache=False,
                socket_factory=_socket,
                limit=CONNECTIONS,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
                skip_auto_headers=("User-Agent",),
                headers={"User-Agent": "Carillon", "Accept-Encoding": "identity"},
            )
        return self._session


def request_once(
    method: str,
    url: str,
    *,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    timeout: float = TIMEOUT_SECONDS,
) -> Answer:
    """The same for who has no event loop and asks now and then: one request on a connection of its own. Not to be
    called inside a transaction."""

    async def ask() -> Answer:
        async with Outbound() as client:
            return await client.request(method, url, body=body, headers=headers, timeout=timeout)

    return asyncio.run(ask())


class _Judge(AbstractResolver):
    """Resolves a name and refuses it when any address is not allowed: who mixes them tries something."""

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._resolve(host, port)
        allowed = _own_networks()
        if not all(is_allowed(address, allowed) for address in found):
            raise OutboundRefused("The URL's host leads to an address that is not on the public internet.")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in found
        ]

    async def close(self) -> None:
        """Nothing is kept."""


def _socket(info: tuple[int, int, int, str, tuple[object, ...]]) -> socket.socket:
    """A socket for an address to connect to: the last place to look at it, whichever way it came here."""
    family, kind, protocol, _, address = info
    if not is_allowed(str(address[0]), _own_networks()):
        raise OutboundRefused("The URL leads to an address that is not on the public internet.")
    return socket.socket(family, kind, protocol)


async def _look_up(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The first bytes of the body. A status that has come counts, whatever the body does; what is left of it is cut."""
    read = b""
    with suppress(TimeoutError, aiohttp.ClientError):
        async with asyncio.timeout(READ_SECONDS):
            while len(read) < READ_BYTES and (more := await response.content.read(READ_BYTES - len(read))):
                read += more
    if not response.content.at_eof():
        response.close()
    return read


def _failed(error: Exception) -> OutboundFailed:
    """In our words: a library's may quote what was sent."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return OutboundFailed("dns", "The URL's host is not known.")
    if isinstance(error, aiohttp.ClientSSLError):
        return OutboundFailed("tls", "The host's certificate is not good, or it speaks no TLS.")
    if isinstance(error, aiohttp.ClientConnectorError):
        return OutboundFailed("connect", "The host cannot be reached.")
    return OutboundFailed("broken", "The connection broke, or the answer was not HTTP.")


def _own_networks() -> tuple[Network, ...]:
    return _parsed(tuple(settings.OUTBOUND_ALLOW_PRIVATE))


@cache
def _parsed(texts: tuple[str, ...]) -> tuple[Network, ...]:
    return networks(texts)
