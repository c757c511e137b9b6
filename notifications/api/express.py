"""The quick way for the call that is made most: `POST /api/v1/notifications/`.

Express stands before Django. It answers a single send that is plainly in order with its 202, and hands everything else
on as it came: another call, an odd header, a faulty body, an unknown key, a limit that is reached, a repeated
Idempotency-Key. So every refusal is made in one place, by the view, and this file knows none.

What the middleware puts on an answer is not repeated here either (`core.shortcut`).
"""

import time
from collections.abc import Mapping
from typing import Any

import msgspec
import structlog
from django.conf import settings

from core import shortcut
from core.api import parsing
from core.api.problems import Problem, Unavailable, plain_response
from core.asgi import ThreadedASGIHandler, count_request
from core.request_id import request_id_of
from core.shortcut import Dressing, Headers, Receive, Send, again, encoded, read
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
#: Longer bodies are rare: three times 32 KB are data, content and metadata at their largest.
MAX_BYTES = 100_000


class Express:
    """An ASGI application before Django's."""

    def __init__(self, app: ThreadedASGIHandler) -> None:
        self._app = app
        self._group = GroupCommit(_present)
        self._dressing = Dressing(app, 202, {"Allow": "GET, POST, HEAD, OPTIONS"})

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["path"] != PATH or scope["method"] != "POST" or scope.get("root_path"):
            await self._app(scope, receive, send)
            return
        messages, body = await read(receive, MAX_BYTES)
        began = time.monotonic()
        if body is not None and (answer := await self._answer(scope, body)) is not None:
            await shortcut.answer(send, *answer)
            count_request("POST", PATH[1:], answer[0], time.monotonic() - began)
            return
        await self._app(scope, again(messages, receive), send)

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
            headers += encoded(standing(call.allowance))
        if isinstance(outcome, bytes):
            headers += [(b"Content-Type", b"application/json"), (b"Content-Length", b"%d" % len(outcome))]
            return 202, headers, outcome
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            refusal = plain_response(
                Unavailable("The database cannot be reached; nothing was accepted. Try again."), instance=PATH
            )
        length = {"Content-Length": str(len(refusal.content))}
        return refusal.status_code, headers + encoded({**refusal.headers, **length}), refusal.content


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
