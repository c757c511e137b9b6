"""`/t/c/<token>` and `/t/o/<token>`: where links and pixels of messages lead. No sign-in, no cookie, no session.

The answer is the same whoever comes and whether or not the hit could be taken down. A link leads to what is stored, or
begins with what is stored, for its id and to nothing else: what is not our own signature is 404.
"""

import re

from django.db import Error
from django.http import HttpRequest, HttpResponse
from django.utils.encoding import iri_to_uri
from django.views.decorators.http import require_safe

from analytics.engagement.hits import hit_log
from analytics.engagement.links import link_reader
from analytics.engagement.machines import Visit, machine
from analytics.engagement.rewriting import without_query
from analytics.engagement.tokens import PIXEL, Token, tokens
from core import ids
from notifications.choices import EventType
from notifications.services.events_lane import Incoming

#: What may stand in a Location header, whatever the table says.
_SAFE = re.compile(r"https?://[!-~]+", re.IGNORECASE)
#: A transparent image of one pixel: the smallest GIF.
_GIF = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")
#: Each visit is one of its own, its address goes no further, and no search engine keeps it.
_HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex"}
_RETRY_SECONDS = 5


@require_safe
def click(request: HttpRequest, token: str) -> HttpResponse:
    """302 to where the link leads; 404 for a token that is not ours; 503 when PostgreSQL is away and this process has
    never followed the link before."""
    read = tokens().read(token)
    if read is None or read.link == PIXEL:
        return _gone()
    try:
        stored = link_reader.url(read.link)
    except Error:
        return _plain("This link cannot be followed right now. Please try again in a moment.", 503)
    target = iri_to_uri(stored + read.rest.decode("utf-8", "replace")) if stored else ""
    if not _SAFE.fullmatch(target):
        return _gone()
    _note(request, read, EventType.CLICKED, without_query(target))
    return HttpResponse(status=302, headers={**_HEADERS, "Location": target}, content_type="text/plain")


@require_safe
def opened(request: HttpRequest, token: str) -> HttpResponse:
    """The pixel; 404 for a token that is not ours."""
    read = tokens().read(token)
    if read is None or read.link != PIXEL or read.rest:
        return _gone()
    _note(request, read, EventType.OPENED, "")
    return HttpResponse(_GIF, headers=_HEADERS, content_type="image/gif")


def _note(request: HttpRequest, read: Token, type: EventType, detail: str) -> None:
    """Nothing of who came is kept but whether it was a person."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    hit_log.note(
        Incoming(
            type=type,
            origin="pixel" if type is EventType.OPENED else "link",
            delivery_id=ids.uuid(read.delivery),
            detail=detail,
            machine=machine(Visit(request.method or "", headers)),
        )
    )


def _gone() -> HttpResponse:
    return _plain("There is nothing here. The link may have been cut off: try to copy it as a whole.", 404)


def _plain(text: str, status: int) -> HttpResponse:
    response = HttpResponse(text + "\n", status=status, headers=_HEADERS, content_type="text/plain; charset=utf-8")
    if status == 503:
        response["Retry-After"] = str(_RETRY_SECONDS)
    return response
