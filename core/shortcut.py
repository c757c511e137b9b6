"""What a way past Django has to do all the same: read the request, and put on the answer what the middleware would.

A short cut answers what is plainly in order and hands everything else on to Django as it came. So every refusal is made
in one place, by the view.
"""

from collections.abc import Awaitable, Callable, Mapping
from io import BytesIO
from typing import Any

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponse

from core.asgi import ThreadedASGIHandler

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

#: What the middleware may look at.
SHAPING = (b"host", b"x-forwarded-proto", b"x-forwarded-host", b"x-forwarded-port")
#: Hosts and schemes remembered. A caller who makes up host names gains nothing but the way through Django.
MAX_REMEMBERED = 64


class Dressing:
    """The headers that the middleware puts on an answer, beside those that are each answer's own. It is asked once per
    host and scheme, with a request of the same kind, and remembered."""

    def __init__(self, app: ThreadedASGIHandler, status: int, headers: Mapping[str, str]) -> None:
        self._app = app
        self._status, self._headers = status, headers
        self._known: dict[tuple[object, ...], Headers | None] = {}

    def of(self, scope: dict[str, Any], given: Mapping[bytes, bytes]) -> Headers | None:
        """None when the middleware would not let the request through: not over HTTPS, a host that is not ours."""
        shape = (scope.get("scheme"), *(given.get(name) for name in SHAPING))
        if shape not in self._known:
            if len(self._known) >= MAX_REMEMBERED:
                self._known.clear()
            self._known[shape] = self._ask(scope, given)
        return self._known[shape]

    def _ask(self, scope: dict[str, Any], given: Mapping[bytes, bytes]) -> Headers | None:
        headers = [(name, given[name]) for name in SHAPING if name in given]
        request = ASGIRequest({**scope, "headers": [*headers, (b"content-length", b"0")]}, BytesIO())
        response = self._app.dress(request, HttpResponse(status=self._status, headers=dict(self._headers)))
        if response.status_code != self._status or response.cookies:
            return None
        own = {"x-request-id", "content-length", "content-type"}
        return encoded({name: value for name, value in response.items() if name.lower() not in own})


async def read(receive: Receive, most: int) -> tuple[list[dict[str, Any]], bytes | None]:
    """What was received, and the whole body; None when it is longer than `most`, or the caller hung up."""
    messages: list[dict[str, Any]] = []
    length = 0
    while True:
        message = await receive()
        messages.append(message)
        length += len(message.get("body", b""))
        if message["type"] != "http.request" or length > most:
            return messages, None
        if not message.get("more_body", False):
            return messages, b"".join(one.get("body", b"") for one in messages)


def again(messages: list[dict[str, Any]], receive: Receive) -> Receive:
    """`receive` from the beginning."""
    rest = iter(messages)

    async def next_message() -> dict[str, Any]:
        return next(rest, None) or await receive()

    return next_message


def encoded(headers: Mapping[str, str]) -> Headers:
    """As ASGI wants them."""
    return [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]


async def answer(send: Send, status: int, headers: Headers, body: bytes) -> None:
    """Say it."""
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
