"""Where a link of an item may lead."""

import re

#: Characters. A longer one is refused: half an address leads nowhere.
MAX_LINK = 2048

_ABSOLUTE = re.compile(r"https?://[^\s\x00-\x1f\x7f<>\"\\]+", re.IGNORECASE)
_RELATIVE = re.compile(r"[/?#](?!/)[^\s\x00-\x1f\x7f<>\"\\]*")


def is_safe_link(link: str) -> bool:
    """http, https, or a path on the page's own site. Everything else (javascript:, data:, //host) is not a link."""
    return len(link) <= MAX_LINK and bool(_ABSOLUTE.fullmatch(link) or _RELATIVE.fullmatch(link))
