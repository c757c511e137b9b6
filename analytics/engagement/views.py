"""`/t/c/<token>` and `/t/o/<token>`: where links and pixels of messages lead. No sign-in, no cookie, no session.

The answer is the same whoever comes and whether or not the hit could be taken down. A link leads to what is stored, or
begins with what is stored, for its id and to nothing else: what is not our own signature is 404. Most visits never come
here: `quick` answers them before Django does.
"""

from django.db import Error
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from analytics.engagement import following
from analytics.engagement.following import HEADERS, Answer
from analytics.engagement.hits import hit_log
from analytics.engagement.links import link_reader
from analytics.engagement.machines import Visit

_RETRY_SECONDS = 5


@csrf_exempt  # what is not GET or HEAD is told so, and nothing is changed by any
@require_safe
def click(request: HttpRequest, token: str) -> HttpResponse:
    """302 to where the link leads; 404 for a token that is not ours; 503 when PostgreSQL is away and this process has
    never followed the link before."""
    try:
        return _answered(following.click(token, _visit(request), link_reader.url))
    except Error:
        later = _plain("This link cannot be followed right now. Please try again in a moment.", 503)
        later["Retry-After"] = str(_RETRY_SECONDS)
        return later


@csrf_exempt  # what is not GET or HEAD is told so, and nothing is changed by any
@require_safe
def opened(request: HttpRequest, token: str) -> HttpResponse:
    """The pixel; 404 for a token that is not ours."""
    return _answered(following.opened(token, _visit(request)))


def _visit(request: HttpRequest) -> Visit:
    return Visit(request.method or "", {name.lower(): value for name, value in request.headers.items()})


def _answered(answer: Answer | None) -> HttpResponse:
    if answer is None:
        return _plain("There is nothing here. The link may have been cut off: try to copy it as a whole.", 404)
    hit_log.note(answer.hit)
    return HttpResponse(answer.content, status=answer.status, headers=answer.headers)


def _plain(text: str, status: int) -> HttpResponse:
    return HttpResponse(text + "\n", status=status, headers={**HEADERS, "Content-Type": "text/plain; charset=utf-8"})
