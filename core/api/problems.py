"""Errors as `application/problem+json` (RFC 9457), the same shape for every refusal of the API.

    {"type": "urn:carillon:problem:validation", "title": "...", "status": 422, "detail": "...",
     "instance": "/api/v1/notifications/", "request_id": "...",
     "errors": [{"pointer": "/recipient", "code": "unknown", "detail": "..."}]}

`pointer` is a JSON Pointer (RFC 6901) into the request's body; `code` is stable and made for programs, `detail` for
people.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import Http404, HttpResponse
from rest_framework import exceptions, status
from rest_framework.response import Response

from core.api.rendering import dumps

MEDIA_TYPE = "application/problem+json"
#: Errors listed in one answer. A bulk call can have thousands; the first ones tell the story.
MAX_ERRORS = 1000
#: What a client is told to wait when PostgreSQL is away: about the time of a failover.
RETRY_AFTER_SECONDS = 5

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One thing wrong with one value of the request: of its body, or of the query where `parameter` names one."""

    pointer: str
    code: str
    detail: str
    parameter: str = ""

    def as_json(self) -> dict[str, str]:
        where = {"parameter": self.parameter} if self.parameter else {"pointer": self.pointer}
        return {**where, "code": self.code, "detail": self.detail}


def pointer(*parts: str | int) -> str:
    """A JSON Pointer from its parts: `pointer("notifications", 3, "a/b")` is `/notifications/3/a~1b`."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


class Problem(exceptions.APIException):
    """A refusal with a `type` of its own. Subclasses set `slug`, `status_code`, `title`; `headers` go on the answer,
    `extra` are members beside the standard ones."""

    slug = "error"
    title = "Error"
    status_code: int = status.HTTP_400_BAD_REQUEST

    def __init__(
        self, detail: str, *, headers: Mapping[str, str] | None = None, extra: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(detail)
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})


class MalformedJson(Problem):
    slug, title = "malformed-json", "The body is not valid JSON"


class BadRequest(Problem):
    slug, title = "bad-request", "The request cannot be understood"


class Conflict(Problem):
    slug, title, status_code = "conflict", "The request conflicts with the present state", status.HTTP_409_CONFLICT


class Unavailable(Problem):
    slug, title = "unavailable", "The service is unavailable for a moment"
    status_code = status.HTTP_503_SERVICE_UNAVAILABLE

    def __init__(self, detail: str, *, retry_after: int = RETRY_AFTER_SECONDS) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)})


class Overload(Unavailable):
    """503 although everything works: there is more to do than may wait."""

    slug, title = "overloaded", "There is too much to do at the moment"


class BodyTooLarge(Problem):
    slug, title = "body-too-large", "The body is too large"
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE

    def __init__(self) -> None:
        super().__init__(f"A request may have {settings.API_MAX_BODY_BYTES} bytes at most.")


class Invalid(Problem):
    """422 with what is wrong, field by field."""

    slug, title = "validation", "The request has errors"
    status_code = status.HTTP_422_UNPROCESSABLE_ENTITY

    def __init__(self, errors: Sequence[FieldProblem]) -> None:
        shown = [error.as_json() for error in errors[:MAX_ERRORS]]
        noun = "error" if len(errors) == 1 else "errors"
        super().__init__(f"{len(errors)} {noun}; nothing was changed.", extra={"errors": shown})


#: DRF's own refusals in our words: class -> (slug, title).
_KNOWN: dict[type[exceptions.APIException], tuple[str, str]] = {
    exceptions.NotAuthenticated: ("unauthenticated", "An API key is needed"),
    exceptions.AuthenticationFailed: ("unauthenticated", "The credentials are not valid"),
    exceptions.PermissionDenied: ("forbidden", "Not allowed"),
    exceptions.NotFound: ("not-found", "Not found"),
    exceptions.MethodNotAllowed: ("method-not-allowed", "The method is not allowed here"),
    exceptions.NotAcceptable: ("not-acceptable", "The answer is JSON"),
    exceptions.UnsupportedMediaType: ("unsupported-media-type", "The body must be application/json"),
    exceptions.Throttled: ("rate-limited", "Too many requests"),
    exceptions.ParseError: ("malformed-json", "The body is not valid JSON"),
}


def body(code: int, slug: str, title: str, detail: str, *, instance: str, **extra: object) -> dict[str, object]:
    """The members of one problem; `request_id` is the one of the log lines."""
    request_id = structlog.contextvars.get_contextvars().get("request_id")
    return {
        "type": f"urn:carillon:problem:{slug}",
        "title": title,
        "status": code,
        "detail": detail,
        "instance": instance,
        **({"request_id": request_id} if request_id else {}),
        **extra,
    }


def plain_response(problem: Problem, *, instance: str) -> HttpResponse:
    """A problem as an answer outside DRF: from a middleware, or for a path no view serves."""
    content = body(
        problem.status_code, problem.slug, problem.title, str(problem.detail), instance=instance, **problem.extra
    )
    return HttpResponse(dumps(content), status=problem.status_code, content_type=MEDIA_TYPE, headers=problem.headers)


def exception_handler(exc: Exception, context: Mapping[str, Any]) -> Response | None:
    """DRF's EXCEPTION_HANDLER. None lets the exception through: a bug is a 500, logged with its trace."""
    if isinstance(exc, DatabaseError | InterfaceError):
        if not database_is_away(exc):
            return None
        log.warning("database_unavailable", error=type(exc).__name__)
        exc = Unavailable("The database cannot be reached; nothing was accepted. Try again.")
    elif isinstance(exc, Http404):
        exc = exceptions.NotFound()
    elif isinstance(exc, PermissionDenied):
        exc = exceptions.PermissionDenied()
    if not isinstance(exc, exceptions.APIException):
        return None
    return _response(exc, instance=context["request"].path)


def database_is_away(exc: Exception) -> bool:
    """Whether PostgreSQL is unreachable, going down, read-only or too slow, rather than asked something wrong."""
    return isinstance(exc, OperationalError | InterfaceError)


def _response(exc: exceptions.APIException, *, instance: str) -> Response:
    headers: dict[str, str] = dict(getattr(exc, "headers", {}))
    if getattr(exc, "auth_header", None):
        headers.setdefault("WWW-Authenticate", exc.auth_header)  # type: ignore[attr-defined]  # set by APIView
    if getattr(exc, "wait", None):
        headers.setdefault("Retry-After", str(exc.wait))  # type: ignore[attr-defined]  # Throttled alone has it
    if isinstance(exc, Problem):
        slug, title, extra = exc.slug, exc.title, exc.extra
    else:
        slug, title = next((words for known, words in _KNOWN.items() if isinstance(exc, known)), ("error", "Error"))
        extra = {}
    content = body(exc.status_code, slug, title, str(exc.detail), instance=instance, **extra)
    return Response(content, status=exc.status_code, headers=headers, content_type=MEDIA_TYPE)
