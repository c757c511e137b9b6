"""A URL that somebody gave us leads nowhere but to the public internet, and to networks that an operator names."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from core.outbound_addresses import is_allowed, networks
from core.outbound_http import READ_BYTES, Outbound, OutboundFailed, OutboundRefused, check_url, request_once

PUBLIC = ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
INNER = [
    *("127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1"),
    *("169.254.169.254", "100.100.100.200", "168.63.129.16", "192.0.0.192", "198.18.0.1", "255.255.255.255"),
    *(
        "224.0.0.1",
        "240.0.0.1",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
    ),
    *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:a00:1", "::127.0.0.1", "64:ff9b::7f00:1"),
    *("64:ff9b::a9fe:a9fe", "64:ff9b:1::808:808", "2002:7f00:1::", "2002:808:808::", "2001:0:808:808::", "2001:db8::1"),
    *("2606:4700:4700::1111%eth0", "localhost", "", "1.1.1.1.1", "0x7f.1"),
]


@pytest.mark.parametrize("address", PUBLIC)
def test_the_public_internet_is_allowed(address: str) -> None:
    assert is_allowed(address)


@pytest.mark.parametrize("address", INNER)
def test_nothing_else_is(address: str) -> None:
    assert not is_allowed(address)


def test_a_network_of_ones_own_is_allowed_by_name_and_in_every_spelling() -> None:
    own = networks(["10.0.0.0/8", "fd00::/8"])

    assert all(is_allowed(address, own) for address in ("10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::a01:203", "fd12::1"))
    assert not any(is_allowed(address, own) for address in ("192.168.1.1", "127.0.0.1", "169.254.169.254", "fe80::1"))


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "//example.com/", "example.com", ""),
        *("https:///path", "https://user@example.com/", "https://user:secret@example.com/", "https://:@example.com/"),
        *("https://example.com:25/", "https://example.com:0/", "https://example.com:99999/", "https://[::1/"),
        *(
            "http://127.0.0.1/",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://169.254.169.254/latest/meta-data/",
        ),
        *(
            "https://example.com/\r\nHost: x",
            "https://example.com/ x",
            "https://example.com\\@10.0.0.1/",
            "https://e\0.com/",
        ),
        "https://example.com/" + "x" * 2000,
    ],
)
def test_what_can_be_seen_to_be_wrong_is_refused_at_once(url: str) -> None:
    with pytest.raises(OutboundRefused):
        check_url(url)


@pytest.mark.parametrize("url", ["https://example.com", "http://example.com:8080/a?b=c", "https://[2606:4700::1111]/"])
def test_a_plain_url_is_taken(url: str) -> None:
    check_url(url)


class Listener:
    """A server that keeps what it was asked, and answers every request alike."""

    def __init__(self, answer: bytes, *, pause: float = 0.0) -> None:
        self.answer, self.pause = answer, pause
        self.requests: list[bytes] = []
        self.port = 0

    @asynccontextmanager
    async def on(self, address: str) -> AsyncIterator["Listener"]:
        server = await asyncio.start_server(self._serve, address, 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                (int(line[15:]) for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:"), 0
            )
            self.requests.append(head + await reader.readexactly(length))
            await asyncio.sleep(self.pause)
            writer.write(self.answer)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def answer(status: str = "204 No Content", *headers: str, body: bytes = b"") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Names:
    """A resolver that says something else each time it is asked."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def own(settings) -> None:
    """127.0.0.2 stands for a host we may talk to, 127.0.0.1 for one of our own."""
    settings.OUTBOUND_ALLOW_PRIVATE = ["127.0.0.2/32"]


@pytest.mark.usefixtures("own")
async def test_a_request_arrives_whole_and_its_answer_comes_back() -> None:
    there = Listener(answer("200 OK", "Retry-After: 7", body=b"thanks"))
    async with there.on("127.0.0.2"), Outbound(resolve=Names(["127.0.0.2"])) as client:
        came = await client.request(
            "POST", f"http://hooks.test:{there.port}/in?a=b", body=b'{"a":1}', headers={"X-Is": "here"}
        )

    assert (came.status, came.is_ok, came.retry_after, came.body) == (200, True, "7", b"thanks")
    head, _, body = there.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /in?a=b HTTP/1.1\r\nHost: hooks.test:")
    assert b"X-Is: here" in head
    assert body == b'{"a":1}'


@pytest.mark.usefixtures("own")
async def test_a_name_that_resolves_to_us_is_refused_before_anything_is_sent() -> None:
    ours = Listener(answer())
    async with ours.on("127.0.0.1"), Outbound(resolve=Names(["127.0.0.1"])) as client:
        with pytest.raises(OutboundRefused):
            await client.request("POST", f"http://hooks.test:{ours.port}/")

    assert ours.requests == []


@pytest.mark.usefixtures("own")
async def test_one_address_of_ours_among_others_is_enough_to_refuse() -> None:
    async with Outbound(resolve=Names(["127.0.0.2", "127.0.0.1"])) as client:
        with pytest.raises(OutboundRefused):
            await client.request("GET", "http://hooks.test:8080/")


@pytest.mark.usefixtures("own")
async def test_a_name_that_changes_its_mind_is_asked_once_and_the_judged_address_is_used() -> None:
    """DNS rebinding: allowed when it is looked at, ours when it is connected to."""
    ours, there = Listener(answer("200 OK")), Listener(answer("204 No Content"))
    names = Names(["127.0.0.2"], ["127.0.0.1"])
    async with there.on("127.0.0.2"), ours.on("127.0.0.1"), Outbound(resolve=names) as client:
        came = await client.request("POST", f"http://hooks.test:{there.port}/")
        assert (came.status, names.asked) == (204, ["hooks.test"])

        with pytest.raises(OutboundRefused):  # and is judged again when it is asked again
            await client.request("POST", f"http://hooks.test:{ours.port}/")

    assert ours.requests == []


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "0x7f.0.0.1", "2130706433", "127.1", "[::ffff:127.0.0.1]", "0"]
)
async def test_no_spelling_of_our_own_address_gets_through(host: str) -> None:
    ours = Listener(answer())
    async with ours.on("127.0.0.1"), Outbound() as client:
        with pytest.raises((OutboundRefused, OutboundFailed)):
            await client.request("GET", f"http://{host}:{ours.port}/")

    assert ours.requests == []


@pytest.mark.usefixtures("own")
async def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    ours = Listener(answer("200 OK"))
    async with ours.on("127.0.0.1"):
        there = Listener(answer("302 Found", f"Location: http://127.0.0.1:{ours.port}/"))
        async with there.on("127.0.0.2"), Outbound() as client:
            came = await client.request("POST", f"http://127.0.0.2:{there.port}/")

    assert (came.status, came.is_ok, ours.requests) == (302, False, [])


@pytest.mark.usefixtures("own")
async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy, there = Listener(answer("200 OK")), Listener(answer())
    async with proxy.on("127.0.0.1"), there.on("127.0.0.2"), Outbound() as client:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert (await client.request("GET", f"http://127.0.0.2:{there.port}/")).status == 204

    assert proxy.requests == []


@pytest.mark.usefixtures("own")
async def test_the_time_is_bounded_as_a_whole() -> None:
    slow = Listener(answer(), pause=5.0)
    async with slow.on("127.0.0.2"), Outbound() as client:
        begun = time.monotonic()
        with pytest.raises(OutboundFailed) as failed:
            await client.request("GET", f"http://127.0.0.2:{slow.port}/", timeout=0.2)

    assert failed.value.kind == "timeout"
    assert time.monotonic() - begun < 2.0


@pytest.mark.usefixtures("own")
async def test_of_a_large_answer_only_the_beginning_is_read() -> None:
    large = Listener(answer("200 OK", body=b"x" * 5_000_000))
    async with large.on("127.0.0.2"), Outbound() as client:
        came = await client.request("GET", f"http://127.0.0.2:{large.port}/")

    assert (came.status, len(came.body)) == (200, READ_BYTES)


@pytest.mark.usefixtures("own")
async def test_cookies_are_not_kept() -> None:
    there = Listener(answer("200 OK", "Set-Cookie: a=b; Path=/"))
    async with there.on("127.0.0.2"), Outbound() as client:
        for _ in range(2):
            await client.request("GET", f"http://127.0.0.2:{there.port}/")

    assert not any(b"cookie" in request.lower() for request in there.requests)


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(("said", "kind"), [(b"not http at all\r\n\r\n", "broken"), (b"", "broken")])
async def test_an_answer_that_is_none_is_told_in_our_words(said: bytes, kind: str) -> None:
    there = Listener(said)
    async with there.on("127.0.0.2"), Outbound() as client:
        with pytest.raises(OutboundFailed) as failed:
            await client.request("GET", f"http://127.0.0.2:{there.port}/")

    assert failed.value.kind == kind


@pytest.mark.usefixtures("own")
def test_nobody_there_and_no_such_name() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.2", 0))
        port = free.getsockname()[1]
    with pytest.raises(OutboundFailed) as failed:
        request_once("POST", f"http://127.0.0.2:{port}/", timeout=2.0)
    assert failed.value.kind == "connect"

    async def unknown(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    async def ask() -> None:
        async with Outbound(resolve=unknown) as client:
            await client.request("GET", "https://nobody.invalid/")

    with pytest.raises(OutboundFailed) as failed:
        asyncio.run(ask())
    assert failed.value.kind == "dns"
