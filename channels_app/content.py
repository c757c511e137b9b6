"""What may stand in a feed item: text, and links that lead where a link may lead."""

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from channels_app import extras
from channels_app.links import is_safe_link
from notifications.choices import FailureCode
from notifications.providers.base import Failure, OutboundMessage

#: Characters. A title is a line and a body a paragraph; longer ones are cut with an ellipsis.
MAX_TITLE = 200
MAX_BODY = 4000
#: An icon is an image's address or a short text such as an emoji (which can be several code points long).
MAX_ICON_TEXT = 16
#: Bytes of `metadata.in_app` as it reaches the browser.
MAX_DATA_BYTES = 4096


@dataclass(frozen=True, slots=True)
class FeedContent:
    """The fields of a feed item, clean."""

    title: str
    body: str
    link: str
    icon: str
    data: Mapping[str, object]


def clean(message: OutboundMessage) -> FeedContent | Failure:
    """A message's content as the feed keeps it, or the permanent failure that the sender sees in the timeline."""
    fields = {name: _text(message.content.get(name, "")) for name in ("title", "body", "link", "icon")}
    if not fields["title"] and not fields["body"]:
        return _refused("neither a title nor a body")
    if fields["link"] and not is_safe_link(fields["link"]):
        return _refused("the link is neither http, https nor a path")
    if len(fields["icon"]) > MAX_ICON_TEXT and not is_safe_link(fields["icon"]):
        return _refused("the icon is neither an http(s) address, a path nor a short text")
    data = _data(message)
    if len(orjson.dumps(data)) > MAX_DATA_BYTES:
        return _refused(f"metadata.in_app has more than {MAX_DATA_BYTES} bytes")
    if fault := extras.fault(data):
        return _refused(fault)
    return FeedContent(
        title=_cut(fields["title"], MAX_TITLE),
        body=_cut(fields["body"], MAX_BODY),
        link=fields["link"],
        icon=fields["icon"],
        data=data,
    )


def _data(message: OutboundMessage) -> Mapping[str, object]:
    """What the sender addressed to the browser: `metadata.in_app`, when it is an object."""
    data = message.metadata.get("in_app")
    return data if isinstance(data, Mapping) else {}


def _text(value: str) -> str:
    """Without what PostgreSQL cannot store: NUL and halves of surrogate pairs."""
    if value.isascii() and "\x00" not in value:
        return value.strip()
    return value.replace("\x00", "").encode("utf-8", "replace").decode().strip()


def _cut(value: str, limit: int) -> str:
    return value if len(value) <= limit else value[: limit - 1].rstrip() + "…"


def _refused(why: str) -> Failure:
    return Failure(FailureCode.CONTENT_REFUSED, temporary=False, detail=why)
