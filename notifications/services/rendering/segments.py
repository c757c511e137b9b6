"""How many SMS a text becomes on the air (3GPP TS 23.038 alphabets, TS 23.040 concatenation)."""

import re
from enum import Enum
from typing import NamedTuple

_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = "\f^{}\\[~]|€"
_GSM7 = re.compile(f"[{re.escape(_BASIC + _EXTENSION)}]*")
_TWO_SEPTETS = re.compile(f"[{re.escape(_EXTENSION)}]")


class Encoding(Enum):
    """Septets or UTF-16 code units; what fits one message, and one part of a longer one beside its six-octet header."""

    GSM7 = ("GSM-7", 160, 153)
    UCS2 = ("UCS-2", 70, 67)

    def __init__(self, label: str, single: int, part: int) -> None:
        self.label = label
        self.single = single
        self.part = part


class Segments(NamedTuple):
    """`units` are septets or UTF-16 code units, by `encoding`."""

    encoding: Encoding
    units: int
    segments: int


def sms_segments(text: str) -> Segments:
    """Count a text as gateways do: one character beyond GSM-7 turns the whole message into UCS-2.

    No character is split over two segments, neither an escaped one nor a surrogate pair.
    """
    if _GSM7.fullmatch(text):
        return _count(text, Encoding.GSM7, len(text) + len(_TWO_SEPTETS.findall(text)))
    return _count(text, Encoding.UCS2, len(text.encode("utf-16-le", "surrogatepass")) // 2)


def outside_gsm7(text: str) -> list[str]:
    """The characters that make it UCS-2, each once, in their order."""
    return [character for character in dict.fromkeys(text) if not _GSM7.fullmatch(character)]


def _count(text: str, encoding: Encoding, units: int) -> Segments:
    if units <= encoding.single:
        return Segments(encoding, units, 1 if text else 0)
    if units == len(text):  # nothing is two units wide, so nothing can straddle
        return Segments(encoding, units, -(-units // encoding.part))
    segments, room = 1, encoding.part
    for character in text:
        width = _width(character, encoding)
        if width > room:
            segments, room = segments + 1, encoding.part
        room -= width
    return Segments(encoding, units, segments)


def _width(character: str, encoding: Encoding) -> int:
    wide = character in _EXTENSION if encoding is Encoding.GSM7 else ord(character) > 0xFFFF
    return 2 if wide else 1
