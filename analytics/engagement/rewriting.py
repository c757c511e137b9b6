"""Which links of a message lead through us. Pure: text in, places and texts out.

Rewritten are absolute http and https addresses: those of `<a>` and `<area>` in an email's HTML, those that stand in its
text and in a text message, and the link of a push message or a feed item. Everything else stays as it is: relative
paths, mailto and app schemes, addresses with a user name in them or with a host of other than ASCII letters, and what
cannot be made out for sure.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from html import unescape
from urllib.parse import parse_qsl, quote, urlencode

#: The fields of each channel that are looked at.
FIELDS: Mapping[str, Sequence[str]] = {
    "email": ("html", "text"),
    "sms": ("body",),
    "push": ("link",),
    "in_app": ("link",),
}
#: Parameters of the destination's own statistics, in the order they are written.
UTM = ("source", "medium", "campaign", "term", "content")
#: Characters of one of them that are kept.
MAX_UTM = 200
#: Longer addresses are left alone: what comes out must still fit a browser's address line.
MAX_URL = 1_400

#: Of an anchor up to its address, and the address, in quotes. Begins with a sign that is seldom, which makes the search
#: quick.
_HREF = r"""[^<>]*?(?<![-\w])(?i:href)\s*=\s*(["'])\s*([hH][^\s"'<>\\]*)\s*\1"""
_ANCHOR = re.compile(r"<[aA](?:[rR][eE][aA])?\s" + _HREF)
#: The same where a tag of the text may ask to be left alone: `data-track="off"`.
_WILLING_ANCHOR = re.compile(r"""<[aA](?:[rR][eE][aA])?\s(?![^<>]*\bdata-track\s*=\s*["']?off\b)""" + _HREF)
#: In plain text from the colon on: up to a space, a quote, or a character that is in no address.
_IN_TEXT = re.compile(r"://[!#-&(-;=?-Z_a-z~\]\[]+")
#: What a sentence puts behind an address.
_TRAILING = ".,;:!?*_~"
_ENDS = _TRAILING + ")]"
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_ORIGIN = re.compile(r"https?://(?:[a-z0-9](?:[a-z0-9_.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", re.IGNORECASE)


#: Where an address stands in a field, from and to, and the address as it is written there.
Place = tuple[int, int, str]


def places(field: str, text: str) -> list[Place]:
    """What in a field looks like an absolute address that a reader can follow, in order."""
    if field == "html":
        return _in_html(text)
    if field == "link":
        return [(0, len(text), text)]
    found = [_in_text(text, *match.span()) for match in _IN_TEXT.finditer(text)]
    return [place for place in found if place is not None]


def destination(field: str, written: str) -> str:
    """Where an address leads as a reader's program understands it; empty when it may not be rewritten."""
    url = _unescaped(written) if field == "html" and "&" in written else written
    return url if origin(url) else ""


def origin(url: str) -> str:
    """Scheme, host and port of an address that may be rewritten; empty for any other."""
    if len(url) > MAX_URL or not url.isprintable() or " " in url or "\\" in url:
        return ""
    return origin_of(url)


def origin_of(url: str) -> str:
    """The same of an address that is known to be one."""
    slash = url.find("/", 8)
    return _origin(url if slash < 0 else url[:slash])


@lru_cache(maxsize=4_096)
def _origin(start: str) -> str:
    """Of an address up to the slash behind its host; most of a process's addresses start alike."""
    found = _ORIGIN.match(start)
    return found[0] if found and start[found.end() : found.end() + 1] in {"", "?", "#"} else ""


def substituted(text: str, places: Sequence[Place], addresses: Sequence[str]) -> str:
    """The text with these addresses in these places."""
    if len(places) == 1:
        start, end, _ = places[0]
        return text[:start] + addresses[0] + text[end:]
    parts: list[str] = []
    at = 0
    for (start, end, _), address in zip(places, addresses, strict=True):
        parts += (text[at:start], address)
        at = end
    parts.append(text[at:])
    return "".join(parts)


def with_pixel(html: str, address: str) -> str:
    """The HTML with an image that tells that it was looked at: invisible, and said to nobody who has it read aloud."""
    image = f'<img src="{address}" width="1" height="1" alt="" style="border:0;width:1px;height:1px">'
    end = max(html.rfind("</body"), html.rfind("</BODY"))
    end = len(html) if end < 0 else end
    return html[:end] + image + html[end:]


def utm_of(metadata: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    """The UTM parameters that a notification's metadata asks for: what is not text, or empty, is passed over."""
    given = metadata.get("utm")
    if not isinstance(given, Mapping):
        return ()
    named = [(name, given.get(name)) for name in UTM]
    return tuple((f"utm_{name}", value[:MAX_UTM]) for name, value in named if isinstance(value, str) and value)


def with_utm(url: str, utm: Sequence[tuple[str, str]]) -> str:
    """The address with these parameters; those it has already are its author's, and stay."""
    before, mark, fragment = url.partition("#")
    path, _, query = before.partition("?")
    has = {name for name, _ in parse_qsl(query, keep_blank_values=True)}
    added = urlencode([(name, value) for name, value in utm if name not in has], quote_via=quote)
    joined = "&".join(part for part in (query.rstrip("&"), added) if part)
    return f"{path}?{joined}{mark}{fragment}" if joined else url


def without_query(url: str) -> str:
    """What of an address may stand in a timeline: its parameters may be anything about anybody."""
    return re.split(r"[?#]", url, maxsplit=1)[0]


def _unescaped(value: str) -> str:
    """As a browser reads an attribute: `&copy=1` is a parameter, `&copy;` a sign."""
    return _ENTITY.sub(lambda found: unescape(found[0]), value)


def _in_html(text: str) -> list[Place]:
    """The addresses of anchors. Where a tag begins is found by itself, which is quicker than by the whole pattern."""
    anchor = _WILLING_ANCHOR if "data-track" in text else _ANCHOR
    if "<A" in text:
        return [(*match.span(2), match[2]) for match in anchor.finditer(text)]
    found = []
    at = text.find("<a")
    while at >= 0:
        if (match := anchor.match(text, at)) is not None:
            start, end = match.span(2)
            found.append((start, end, text[start:end]))
            at = end
        at = text.find("<a", at + 2)
    return found


def _in_text(text: str, colon: int, end: int) -> Place | None:
    """An address in running text that has its colon here, without what belongs to the sentence. Where letters of
    another alphabet follow directly, nobody knows where it ends."""
    start = colon - 5
    if start < 0 or text[start:colon] != "https":
        start = _scheme(text, colon)
        if start < 0:
            return None
    if start and (before := text[start - 1]) > " " and before.isascii() and (before.isalnum() or before in "+.-"):
        return None
    if end < len(text) and text[end] > "~" and text[end].isalnum():
        return None
    url = text[start : min(end, start + MAX_URL + 1)]
    if url[-1] in _ENDS:
        url = url.rstrip(_TRAILING)
        while url.endswith((")", "]")) and url.count(url[-1]) > url.count("(" if url[-1] == ")" else "["):
            url = url[:-1].rstrip(_TRAILING)
    return start, start + len(url), url


def _scheme(text: str, colon: int) -> int:
    """Where the scheme before a colon begins; -1 when it is another than http and https."""
    before = text[max(colon - 5, 0) : colon].lower()
    return colon - 5 if before == "https" else colon - 4 if before.endswith("http") else -1
