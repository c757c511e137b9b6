"""Checks of links: where each leads, as far as that can be told without asking the network.

A wording is looked at twice: as it is written, so that no branch is left out, with a stand-in for what the data will
bring; and with the sample data filled in, for links that begin with a variable.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from typing import NamedTuple
from urllib.parse import urlsplit

from django.conf import settings

from notifications.services.rendering.cleaning import FORBIDDEN_SCHEMES
from notifications.services.rendering.fields import Kind
from notifications.services.template_checks.base import Fault, Inquiry, Wording

BROKEN, UNSAFE = "broken_link", "unsafe_scheme"
#: Stand for what the data brings, and for a tag of Liquid between two texts; of a private area of Unicode.
HOLE, JOINT = "\ue000", "\ue001"
#: What mails may link to beside LINK_SCHEMES: the reader's telephone or mail program, and images of the mail.
_MAIL_SCHEMES = frozenset({"mailto", "tel", "sms", "cid"})
_ATTRIBUTES = frozenset({"href", "src", "action", "formaction", "background", "poster", "xlink:href"})
_TAG_OF_LIQUID = re.compile(r"\{\{.*?\}\}|\{%-?\s*comment\b.*?endcomment\s*-?%\}|\{%.*?%\}", re.DOTALL)
_IN_TEXT = re.compile(r"\b(?:https?:|www\.|javascript:|vbscript:|data:text)[^\s<>\"]+", re.IGNORECASE)
_IN_STYLE = re.compile(r"url\(\s*['\"]?([^'\")]*)", re.IGNORECASE)
_SCHEME = re.compile(r"(?!localhost:)([A-Za-z][A-Za-z0-9+\-]*):")  # with a dot in it, it is a host and its port
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
#: What browsers leave out of an address before they read it, anywhere and at its ends (URL Standard, 4.4).
_DROPPED, _STRIPPED = re.compile(r"[\t\r\n]"), "".join(map(chr, range(0x21)))
_OR_PATH = ", or with / for a page of this site"
_SHOWN = 80


class Link(NamedTuple):
    """An address as it stands in a field, and its line."""

    url: str
    line: int


def links(inquiry: Inquiry, wording: Wording) -> Iterator[Fault]:
    """Broken links and schemes that run something, each once per field."""
    for name, source in wording.sources.items():
        kind = wording.specs[name].kind
        written = _found(kind, _written(source))
        told: set[str] = set()
        for url, line in [
            *written,
            *((url, None) for url in _filled_in(written, kind, wording.rendered.get(name, ""))),
        ]:
            if (fault := _fault(url, kind)) and url not in told:
                told.add(url)
                yield Fault(name, fault[0], f"{_shown(url)}: {fault[1]}", line)


def insecure_links(inquiry: Inquiry, wording: Wording) -> Iterator[Fault]:
    for name, source in wording.sources.items():
        for url, line in _found(wording.specs[name].kind, _written(source)):
            if url.lower().startswith("http://"):
                yield Fault(name, "insecure_link", f"{_shown(url)}: whoever carries it can read and change it.", line)
                break


def _written(source: str) -> str:
    """The source with a hole for each output and a joint for each other tag; every line break stays."""

    def replace(match: re.Match[str]) -> str:
        is_output = match[0].startswith("{{") or "cycle" in match[0]
        return (HOLE if is_output else JOINT) + "\n" * match[0].count("\n")

    return _TAG_OF_LIQUID.sub(replace, source)


def _filled_in(written: list[Link], kind: Kind, rendered: str) -> list[str]:
    """Those links with the sample data filled in whose beginning the source does not tell. What the data brings may
    hold spaces: they are no fault of the wording."""
    known = tuple(start for url, _ in written if (start := _beginning(url)))
    if all(_beginning(url) for url, _ in written):
        return []
    found = _found(kind, rendered)
    return [re.sub(r"\s+", "%20", url) for url, _ in found if not url.startswith(known)]


def _beginning(url: str) -> str:
    """What is sure of an address: its text up to where the data or a branch decides."""
    return re.split(f"[{HOLE}{JOINT}]", url, maxsplit=1)[0]


def _found(kind: Kind, text: str) -> list[Link]:
    if kind is Kind.LINK:
        return [Link(text.strip(), 1)] if text.strip() else []
    if kind is Kind.HTML:
        parser = _Parser()
        parser.feed(text)
        parser.close()
        return parser.links
    if kind is Kind.TEXT:
        return [
            Link(match[0].rstrip(".,;:!?)]'"), text.count("\n", 0, match.start()) + 1)
            for match in _IN_TEXT.finditer(text)
        ]
    return []


class _Parser(HTMLParser):
    """Collects the links of a mail."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.links: list[Link] = []
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_style = tag == "style"
        line = self.getpos()[0]
        for name, value in attrs:
            if name in _ATTRIBUTES:
                self.links.append(Link((value or "").strip(), line))
            elif name == "style":
                self._add_style(value or "", line)

    def handle_endtag(self, tag: str) -> None:
        self._in_style = False

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self._add_style(data, self.getpos()[0])

    def _add_style(self, text: str, line: int) -> None:
        for match in _IN_STYLE.finditer(text):
            self.links.append(Link(match[1].strip(), line + text.count("\n", 0, match.start())))


def _fault(url: str, kind: Kind) -> tuple[str, str] | None:
    """What is wrong with an address, as (code, sentence)."""
    if JOINT in url:  # each branch may begin the address anew; whether the whole leads anywhere the sample data tells
        faults = [_judged(part, kind) for part in url.split(JOINT)]
        return next((fault for fault in faults if fault and fault[0] == UNSAFE), None)
    return _judged(url, kind)


def _judged(url: str, kind: Kind) -> tuple[str, str] | None:
    url = _DROPPED.sub("", url).strip(_STRIPPED)
    if HOLE in re.split(r"[:/?#]", url, maxsplit=1)[0]:
        return None  # nobody knows yet; the sample data tells
    if match := _SCHEME.match(url):
        return _scheme_fault(match[1].lower(), url, kind)
    if kind is Kind.LINK and url.startswith("/") and not url.startswith("//"):
        return None
    if kind is Kind.HTML and url.startswith("#") and len(url) > 1:
        return None
    return BROKEN, "it is empty." if not url else f"start it with https://{_OR_PATH if kind is Kind.LINK else ''}."


def _scheme_fault(scheme: str, url: str, kind: Kind) -> tuple[str, str] | None:
    allowed = {*settings.LINK_SCHEMES, *(_MAIL_SCHEMES if kind is Kind.HTML else ())} - FORBIDDEN_SCHEMES
    if scheme not in allowed:
        return UNSAFE, f"{scheme}: is not allowed in a link."
    if scheme in ("http", "https"):
        said = next((said for is_broken, said in _MISTAKES if is_broken(url)), "")
    else:
        said = "" if url.partition(":")[2].strip() else "it names no destination."
    return (BROKEN, said) if said else None


def _host_is_broken(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return True
    return HOLE not in parts.netloc and not _is_host(host)


#: What is looked for in a web address, in this order, and what is said of it.
_MISTAKES: tuple[tuple[Callable[[str], object], str], ...] = (
    (re.compile(r"\s").search, "a link has no spaces; write %20."),
    (re.compile(rf"%(?![0-9A-Fa-f{HOLE}]{{1,2}})").search, "a % needs two digits after it; for the sign write %25."),
    (re.compile(r"\w+:(?!//)").match, "two slashes follow the colon."),
    (re.compile(rf"\w+://[^/?#{HOLE}]*@").match, "a name before the @ hides where it leads."),
    (_host_is_broken, "it names no valid host, such as shop.example."),
)


def _is_host(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        return True
    try:
        labels = host.rstrip(".").encode("idna").decode().split(".")
    except UnicodeError:
        return False
    known = host in ("localhost",) or len(labels) > 1  # https://https//example.com is a host called https
    return known and all(_LABEL.fullmatch(label) for label in labels)


def _shown(url: str) -> str:
    shown = re.sub(f"[{HOLE}{JOINT}]", "…", url)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
