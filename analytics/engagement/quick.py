"""The quick way for those who follow links: an ASGI application before Django's.

A crowd comes when a campaign goes out, and each of it waits for a page. What is plainly in order (our own signature, a
link that this process knows) is answered on the event loop, without a thread, without middleware and without a query;
everything else is handed on as it came, and answered by `views`.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from analytics.engagement import following, hits
from analytics.engagement.following import HEADERS, Answer
from analytics.engagement.hits import HitLog, hit_log
from analytics.engagement.links import LinkReader, link_reader
from analytics.engagement.machines import PREFETCH_HEADERS, Visit
from core.asgi import ThreadedASGIHandler, count_request
from core.request_id import request_id_of
from core.shortcut import SHAPING, Dressing, Headers, Receive, Send, encoded
from core.shortcut import answer as say

_CLICK, _OPEN = "/t/c/", "/t/o/"
_ROUTES = {_CLICK: "t/c/<str:token>", _OPEN: "t/o/<str:token>"}
#: What a visitor is known by, of which only one of each is understood.
_TELLING = frozenset({b"user-agent", b"x-request-id", *(name.encode() for name in PREFETCH_HEADERS)})

App = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]


class QuickLinks:
    """Answers what it can; `app` gets the rest. `django` says what the middleware would put on an answer."""

    def __init__(
        self, app: App, django: ThreadedASGIHandler, *, links: LinkReader = link_reader, hits: HitLog = hit_log
    ) -> None:
        self._app, self._links, self._hits = app, links, hits
        self._dressings = {path: Dressing(django, status, HEADERS) for path, status in ((_CLICK, 302), (_OPEN, 200))}

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        kind = scope["path"][: len(_CLICK)]
        if kind not in _ROUTES or scope["method"] not in {"GET", "HEAD"} or scope.get("root_path"):
            await self._app(scope, receive, send)
            return
        began = time.monotonic()
        found = self._answer(scope, kind)
        if found is None:
            await self._app(scope, receive, send)
            return
        answer, headers = found
        await self._note(answer)
        await say(send, answer.status, headers, b"" if scope["method"] == "HEAD" else answer.content)
        count_request(scope["method"], _ROUTES[kind], answer.status, time.monotonic() - began)

    def _answer(self, scope: dict[str, Any], kind: str) -> tuple[Answer, Headers] | None:
        """The answer and its headers; None when Django is to answer."""
        given = _headers(scope)
        dressing = None if given is None else self._dressings[kind].of(scope, given)
        if given is None or dressing is None:
            return None
        told = {name.decode(): value.decode("latin-1") for name, value in given.items() if name in _TELLING}
        visit, token = Visit(scope["method"], told), scope["path"][len(kind) :]
        is_click = kind == _CLICK
        answer = following.click(token, visit, self._links.known) if is_click else following.opened(token, visit)
        if answer is None:
            return None
        id = request_id_of(told.get("x-request-id", ""))
        own = {**answer.headers, "Content-Length": str(len(answer.content)), "X-Request-Id": id}
        return answer, [*dressing, *encoded({name: own[name] for name in own if name not in HEADERS})]

    async def _note(self, answer: Answer) -> None:
        done = self._hits.take(answer.hit)
        if done is None:
            return
        finished, _ = await asyncio.wait([asyncio.wrap_future(done)], timeout=hits.PATIENCE)
        if finished:
            self._hits.kept(answer.hit)
        else:
            self._hits.give_up(answer.hit)


def _headers(scope: dict[str, Any]) -> dict[bytes, bytes] | None:
    """Those that decide something; None when one stands there twice: Django is to make sense of that."""
    given: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        if name in _TELLING or name in SHAPING:
            if name in given:
                return None
            given[name] = value
    return given
