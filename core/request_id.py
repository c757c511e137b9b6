"""A request id on every log line and every answer: the caller's, when it is a sane one, or ours."""

import re
from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponse

from core.ids import uuid7

_SANE = re.compile(r"[A-Za-z0-9._-]{1,64}")


def request_id_of(given: str) -> str:
    """The caller's id of its request (empty: none), or ours."""
    return given if _SANE.fullmatch(given) else str(uuid7())


class RequestIdMiddleware:
    """Bind `request_id` to the log context and echo it as `X-Request-Id`."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request_id = request_id_of(request.headers.get("X-Request-Id", ""))
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            response = self.get_response(request)
        response["X-Request-Id"] = request_id
        return response
