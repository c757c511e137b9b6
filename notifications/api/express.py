"""The quick way for the call that is made most: `POST /api/v1/notifications/`.

Express stands before Django. It answers a single send that is plainly in order with its 202, and hands everything else
on as it came: another call, an odd header, a faulty body, an unknown key, a limit that is reached, a repeated
Idempotency-Key. So every refusal is made in one place, by the view, and this file knows none.

What the middleware puts on an answer is not repeated here either: it is asked once per host and scheme, with a request
of the same kind, and remembered.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from io import BytesIO
from typing import Any

import msgspec
import structlog
from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponse

from core.api import parsing
from core.api.problems import Problem, Unavailable, plain_response
from core.asgi import ThreadedASGIHandler, count_request
from core.request_id import request_id_of
from notifications.api import presenting
from notifications.api.idempotency import is_key
from notifications.api.rates import COUNTED, standing
from notifications.api.shapes import draft_of
from notifications.drafts import Accepted
from notifications.services import idempotency
from notifications.services.group_commit import Call, GroupCommit, Unanswered

PATH = "/api/v1/notifications/"
#: Headers that decide something here. One that stands twice is for Django to make sense of.
_READ = frozenset(
    {b"host", b"authorization", b"content-type", b"content-length", b"idempotency-key", b"x-request-id"}
    | {b"content-encoding", b"x-forwarded-proto", b"x-forwarded-host", b"x-forwarded-port", b"expect"}
)
#: Of these, what the middleware may look at.
_SHAPING = (b"host", b"x-forwarded-proto", b"x-forwarded-host", b"x-forwarded-port")
#: Hosts and schemes remembered. A caller who makes up host names gains nothing but the way through Django.
MAX_REMEMBERED = 64
#: Longer bodies are rare: three times 32 KB are data, content and metadata at their largest.
MAX_BYTES = 100_000

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]


class Express:
    """An ASGI application before Django's."""

    def __init__(self, app: ThreadedASGIHandler) -> None:
        self._app = app
        self._group = GroupCommit(_present)
        self._dressing = _Dressing(app)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["path"] != PATH or scope["method"] != "POST" or scope.get("root_path"):
            await self._app(scope, receive, send)
            return
        messages, body = await _read(receive)
        began = time.monotonic()
        if body is not None and (answer := await self._answer(scope, body)) is not None:
            status, headers, content = answer
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": content})
            count_request("POST", PATH[1:], status, time.monotonic() - began)
            return
        await self._app(scope, _again(messages, receive), send)

    async def _answer(self, scope: dict[str, Any], body: bytes) -> tuple[int, Headers, bytes] | None:
        """Status, headers and body; None when Django is to answer."""
        given = _headers(scope)
        dressing = None if given is None else self._dressing.of(scope, given)
        call = None if given is None or dressing is None else _call(given, body)
        if given is None or dressing is None or call is None:
            return None
        outcome = await self._group.send(call)
        if outcome is Unanswered.ALONE:
            scope[COUNTED] = call.allowance
            return None
        request_id = request_id_of(given.get(b"x-request-id", b"").decode("latin-1"))
        headers = [*dressing, (b"X-Request-Id", request_id.encode())]
        if call.allowance is not None:
            headers += _encoded(standing(call.allowance))
        if isinstance(outcome, bytes):
            headers += [(b"Content-Type", b"application/json"), (b"Content-Length", b"%d" % len(outcome))]
            return 202, headers, outcome
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            refusal = plain_response(
                Unavailable("The database cannot be reached; nothing was accepted. Try again."), instance=PATH
            )
        length = {"Content-Length": str(len(refusal.content))}
        return refusal.status_code, headers + _encoded({**refusal.headers, **length}), refusal.content


class _Dressing:
    """The headers that the middleware puts on a 202 of ours, beside those that are each answer's own."""

    def __init__(self, app: ThreadedASGIHandler) -> None:
        self._app = app
        self._known: dict[tuple[object, ...], Headers | None] = {}

    def of(self, scope: dict[str, Any], given: Mapping[bytes, bytes]) -> Headers | None:
        """None when the middleware would not let the request through: not over HTTPS, a host that is not ours."""
        shape = (scope.get("scheme"), *(given.get(name) for name in _SHAPING))
        if shape not in self._known:
            if len(self._known) >= MAX_REMEMBERED:
                self._known.clear()
            self._known[shape] = self._ask(scope, given)
        return self._known[shape]

    def _ask(self, scope: dict[str, Any], given: Mapping[bytes, bytes]) -> Headers | None:
        headers = [(name, given[name]) for name in _SHAPING if name in given]
        request = ASGIRequest({**scope, "headers": [*headers, (b"content-length", b"0")]}, BytesIO())
        answer = HttpResponse(status=202, headers={"Allow": "GET, POST, HEAD, OPTIONS"})
        response = self._app.dress(request, answer)
        if response.status_code != 202 or response.cookies:
            return None
        own = {"x-request-id", "content-length", "content-type"}
        return _encoded({name: value for name, value in response.items() if name.lower() not in own})


async def _read(receive: Receive) -> tuple[list[dict[str, Any]], bytes | None]:
    """What was received, and the whole body; None when it is too long, or the caller hung up."""
    messages: list[dict[str, Any]] = []
    length = 0
    while length <= MAX_BYTES:
        message = await receive()
        messages.append(message)
        if message["type"] != "http.request":
            return messages, None
        length += len(message.get("body", b""))
        if not message.get("more_body", False):
            return messages, b"".join(one.get("body", b"") for one in messages)
    return messages, None


def _again(messages: list[dict[str, Any]], receive: Receive) -> Receive:
    """`receive` from the beginning."""
    rest = iter(messages)

    async def next_message() -> dict[str, Any]:
        return next(rest, None) or await receive()

    return next_message


def _headers(scope: dict[str, Any]) -> dict[bytes, bytes] | None:
    """Those that decide something; None when there is one that is not expected."""
    given: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        if name in _READ:
            if name in given:
                return None
            given[name] = value
    plain = b"content-encoding" not in given and b"expect" not in given
    media_type = given.get(b"content-type", b"").partition(b";")[0].strip().lower()
    return given if plain and media_type == b"application/json" else None


def _call(given: Mapping[bytes, bytes], body: bytes) -> Call | None:
    """What is asked for, or None when anything about it is wrong."""
    scheme, _, token = given.get(b"authorization", b"").decode("latin-1").partition(" ")
    if scheme.lower() != "bearer" or len(body) > settings.API_MAX_BODY_BYTES:
        return None
    if given.get(b"content-length", b"%d" % len(body)) != b"%d" % len(body):
        return None
    read = draft_of(body)
    if read is None:
        return None
    if b"idempotency-key" not in given:
        return Call(token.strip(), read.draft())
    key = given[b"idempotency-key"].decode("latin-1")
    try:
        seal = idempotency.fingerprint("POST", PATH, parsing.loads(body)) if is_key(key) else ""
    except Problem:
        return None
    return Call(token.strip(), read.draft(), key, seal) if seal else None


def _present(one: Accepted) -> bytes:
    return msgspec.json.encode(presenting.accepted(one))


def _encoded(headers: Mapping[str, str]) -> Headers:
    return [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]
