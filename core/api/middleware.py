"""What every request under /api/ and /webhooks/ has in common, before and after its view.

Before: a body no larger than it may be, a path that ends in a slash, no NUL anywhere. After: an error that Django
itself answered (no such URL, a refused host, a bug) in the same words as the views' own.
"""

import io
from collections.abc import Callable
from http import HTTPStatus

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from core.api.problems import MEDIA_TYPE, BadRequest, BodyTooLarge, Problem, body, plain_response
from core.api.rendering import dumps

_GUARDED = ("/api/", "/webhooks/")
_WITH_BODY = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class EncodedBody(Problem):
    """415: a small compressed body can be a large one; nobody needs it here."""

    slug, title, status_code = "unsupported-media-type", "The body must be application/json", 415


class ApiMiddleware:
    """Guards requests from programs; lets all others through untouched."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(_GUARDED):
            return self.get_response(request)
        try:
            _check(request)
        except Problem as problem:
            return plain_response(problem, instance=request.path)
        response = _in_our_words(request, self.get_response(request))
        for name, value in getattr(request, "api_headers", {}).items():  # what a guard wants told, whoever answered
            response.headers[name] = value
        if request.path_info.startswith("/api/v1/"):
            response.headers.setdefault("Cache-Control", "no-store")  # people's data stays out of shared caches
        return response


def _check(request: HttpRequest) -> None:
    if "\x00" in request.path_info or "%00" in request.META.get("QUERY_STRING", ""):
        raise BadRequest("A NUL character cannot stand in a URL.")
    if "\ufffd" in request.path_info:
        raise BadRequest("The path is not UTF-8.")  # what could not be decoded was replaced
    if not request.path_info.endswith("/"):
        # A redirect would turn a POST into a GET; the call is plain enough without one.
        request.path_info += "/"
        request.path += "/"
    if request.method in _WITH_BODY:
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise EncodedBody("Send the body as it is, without Content-Encoding.")
        _bound_body(request)


def _bound_body(request: HttpRequest) -> None:
    """Refuse by Content-Length before a byte is read; a chunked body has none, so read one byte past the limit."""
    limit = settings.API_MAX_BODY_BYTES
    declared = request.META.get("CONTENT_LENGTH") or ""
    if declared:
        if not declared.isascii() or not declared.isdigit():
            raise BadRequest("Content-Length is not a number.")
        if int(declared) > limit:
            raise BodyTooLarge()
        return
    content = request.read(limit + 1)
    if len(content) > limit:
        raise BodyTooLarge()
    request.META["CONTENT_LENGTH"] = str(len(content))
    request._stream = io.BytesIO(content)
    request._read_started = False  # type: ignore[attr-defined]  # the stubs do not know how a request reads


def _in_our_words(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Answers of status 400 and up that are not problem documents yet become one; their headers stay."""
    if response.status_code < HTTPStatus.BAD_REQUEST or response.headers.get("Content-Type") == MEDIA_TYPE:
        return response
    status = HTTPStatus(response.status_code)
    slug = status.phrase.lower().replace(" ", "-")
    response.content = dumps(
        body(status.value, slug, status.phrase, _DETAILS.get(status.value, status.description), instance=request.path)
    )
    response.headers["Content-Type"] = MEDIA_TYPE
    response.headers.pop("Content-Length", None)
    return response


_DETAILS = {
    404: "There is nothing at this address. The calls are listed at /api/docs/.",
    500: "Something went wrong on our side; the request id leads to it in the logs.",
}
