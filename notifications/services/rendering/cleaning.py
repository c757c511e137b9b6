"""From rendered text to a field that is safe to hand to a transport."""

import re
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

from django.conf import settings

from notifications.errors import RenderError
from notifications.services.rendering.fields import FieldSpec, Kind
from notifications.services.rendering.styles import has_styles, inline_styles

#: Never a link, whatever the settings allow: they run or read on the reader's machine.
FORBIDDEN_SCHEMES = frozenset({"javascript", "data", "vbscript", "file", "blob", "about"})

#: Everything that could end a header line (RFC 5322 2.2), and the rest of C0 and C1 with the Unicode line ends.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
#: What plain text may not hold: controls other than tab and line feed. PostgreSQL takes no NUL.
_TEXT_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]+")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_PLAIN_LINK = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]*")  # RFC 3986: reserved, unreserved, percent
_LINK_ESCAPES = {ord(c): f"%{ord(c):02X}" for c in ' "<>\\^`{|}'}


def cleaner(name: str, spec: FieldSpec) -> Callable[[str], str]:
    """A function that takes a field's rendered text to its final form. It raises RenderError."""
    clean = {Kind.LINE: _line, Kind.TEXT: _text, Kind.HTML: _html, Kind.LINK: _link}[spec.kind]
    limit, truncate = spec.max_length, spec.truncate

    def run(text: str) -> str:
        text = clean(text)
        if len(text) > limit:
            if not truncate:
                raise RenderError(f"{name} has {len(text)} characters; at most {limit} are allowed")
            text = text[: limit - 1].rstrip() + "…"
        return text

    return run


def settles(spec: FieldSpec, literals: Iterable[str]) -> bool:
    """Whether nothing but space at its ends is ever cleaned off a field of these texts and of printable values.
    Nobody knows that of a link before it is whole, nor which elements a style sheet is about."""
    literals = list(literals)
    if spec.kind is Kind.LINK or (spec.html and has_styles("".join(literals))):
        return False
    characters = _line_characters if spec.kind is Kind.LINE else _text_characters
    return all(characters(literal) == literal for literal in literals)


def _well_formed(text: str) -> str:
    """Lone surrogates cannot be encoded as UTF-8: they become U+FFFD."""
    return _SURROGATE.sub("\ufffd", text)


def _line_characters(text: str) -> str:
    return text if text.isprintable() else _well_formed(CONTROL.sub(" ", text))


def _text_characters(text: str) -> str:
    if text.isprintable():
        return text
    return _well_formed(_TEXT_CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n")))


def _line(text: str) -> str:
    return _line_characters(text).strip()


def _text(text: str) -> str:
    return _text_characters(text).strip()


def _html(text: str) -> str:
    return inline_styles(_text(text))


def _link(text: str) -> str:
    text = text.strip()
    if not text:
        return ""
    if not _PLAIN_LINK.fullmatch(text):
        if CONTROL.search(text):
            raise RenderError("a link may not hold control characters")
        text = _well_formed(text).translate(_LINK_ESCAPES)
    if text.startswith("/"):
        if text.startswith(("//", "/%5C")):
            raise RenderError("a link to another site names its scheme")
        return text
    scheme, separator, rest = text.partition(":")
    scheme = scheme.lower()
    if not separator or scheme in FORBIDDEN_SCHEMES or scheme not in settings.LINK_SCHEMES:
        allowed = ", ".join(settings.LINK_SCHEMES)
        raise RenderError(f"a link starts with / or one of the schemes {allowed}")
    if scheme in {"http", "https"} and not _has_host(text):
        raise RenderError("a link names a host")
    if not rest:
        raise RenderError("a link names a destination")
    return text


def _has_host(url: str) -> bool:
    try:
        return bool(urlsplit(url).hostname)
    except ValueError:
        return False
