"""What a message of each channel is made of, and what each part may hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from notifications.choices import Channel


class Kind(Enum):
    """How a field is cleaned after rendering."""

    LINE = "line"  # one line: control characters become spaces, so no header can be injected
    TEXT = "text"  # plain text: line breaks stay, other control characters go
    HTML = "html"  # merge fields are escaped
    LINK = "link"  # an allow-listed scheme or a path of this site


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One field of a channel. `max_length` counts characters of the rendered text; what is longer is cut with an
    ellipsis where `truncate` is set, and refused where a cut would break the message (a link, a code at the end)."""

    required: bool
    max_length: int
    kind: Kind
    truncate: bool = False

    @property
    def html(self) -> bool:
        return self.kind is Kind.HTML

    @property
    def max_source(self) -> int:
        """Characters of template text: logic is longer than what it prints."""
        return max(self.max_length, 8_000)


def _line(max_length: int, *, required: bool = False) -> FieldSpec:
    return FieldSpec(required, max_length, Kind.LINE, truncate=True)


_LINK = FieldSpec(False, 2_048, Kind.LINK)  # what browsers, proxies and push payloads take everywhere

#: The fields of every channel. An email without `html` is sent as plain text: nothing is derived behind one's back.
FIELDS: Mapping[str, Mapping[str, FieldSpec]] = MappingProxyType(
    {
        Channel.EMAIL.value: MappingProxyType(
            {
                "subject": _line(255, required=True),  # a header line holds 998 octets (RFC 5322 2.1.1): 255 in UTF-8
                "preheader": _line(255),
                "text": FieldSpec(True, 100_000, Kind.TEXT),
                "html": FieldSpec(False, 100_000, Kind.HTML),  # mail readers clip beyond about 102 kB
            }
        ),
        Channel.PUSH.value: MappingProxyType(
            {
                "title": _line(200, required=True),
                "body": FieldSpec(True, 1_000, Kind.TEXT, truncate=True),  # APNs and FCM take 4,096 bytes in all
                "image": _LINK,
                "link": _LINK,
            }
        ),
        Channel.SMS.value: MappingProxyType(
            {"body": FieldSpec(True, 1_530, Kind.TEXT)},  # ten GSM-7 segments, the most that gateways join
        ),
        Channel.IN_APP.value: MappingProxyType(
            {
                "title": _line(200, required=True),
                "body": FieldSpec(False, 4_000, Kind.TEXT, truncate=True),
                "link": _LINK,
                "icon": _line(64),  # a name of the widget's set, or an emoji
            }
        ),
    }
)
