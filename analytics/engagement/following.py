"""What becomes of whoever follows a link or fetches a pixel: the answer, and the hit to take down. Pure but for the
link's address, which the caller looks up in its own way."""

import re
from collections.abc import Callable
from typing import NamedTuple

from django.utils.encoding import iri_to_uri

from analytics.engagement.machines import Visit, machine
from analytics.engagement.rewriting import without_query
from analytics.engagement.tokens import PIXEL, Token, tokens
from core import ids
from notifications.choices import EventType
from notifications.services.events_lane import Incoming

#: Each visit is one of its own, its address goes no further, and no search engine keeps it.
HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex"}

#: What may stand in a Location header, whatever the table says.
_SAFE = re.compile(r"https?://[!-~]+", re.IGNORECASE)
#: A transparent image of one pixel: the smallest GIF.
_GIF = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")


class Answer(NamedTuple):
    """302 and where to, or the pixel; and the hit."""

    status: int
    headers: dict[str, str]
    content: bytes
    hit: Incoming


def click(token: str, visit: Visit, url_of: Callable[[bytes], str | None]) -> Answer | None:
    """Where a link leads. None for a token that is not ours, and for a link that `url_of` knows nothing of."""
    read = tokens().read(token)
    if read is None or read.link == PIXEL or not (stored := url_of(read.link)):
        return None
    target = iri_to_uri(stored + read.rest.decode("utf-8", "replace"))
    if not _SAFE.fullmatch(target):
        return None
    hit = _hit(read, EventType.CLICKED, "link", visit, without_query(target))
    return Answer(302, {**HEADERS, "Location": target, "Content-Type": "text/plain"}, b"", hit)


def opened(token: str, visit: Visit) -> Answer | None:
    """The pixel. None for a token that is not ours."""
    read = tokens().read(token)
    if read is None or read.link != PIXEL or read.rest:
        return None
    hit = _hit(read, EventType.OPENED, "pixel", visit, "")
    return Answer(200, {**HEADERS, "Content-Type": "image/gif"}, _GIF, hit)


def _hit(read: Token, type: EventType, origin: str, visit: Visit, detail: str) -> Incoming:
    """Nothing of who came is kept but whether it was a person."""
    return Incoming(
        type=type, origin=origin, delivery_id=ids.uuid(read.delivery), detail=detail, machine=machine(visit)
    )
