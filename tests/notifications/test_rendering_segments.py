"""What an SMS costs: segments as gateways count them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.services.rendering import sms_segments
from notifications.services.rendering.segments import Encoding

ALPHABET = st.sampled_from("ab €^ж😀é\n")


@pytest.mark.parametrize(
    ("text", "encoding", "units", "segments"),
    [
        ("", Encoding.GSM7, 0, 0),
        ("a" * 160, Encoding.GSM7, 160, 1),
        ("a" * 161, Encoding.GSM7, 161, 2),
        ("a" * 306, Encoding.GSM7, 306, 2),
        ("a" * 307, Encoding.GSM7, 307, 3),
        ("€" * 80, Encoding.GSM7, 160, 1),
        ("€" * 81, Encoding.GSM7, 162, 2),
        ("a" * 152 + "€" + "a" * 152, Encoding.GSM7, 306, 3),  # the € moves whole into the second segment
        ("ж" * 70, Encoding.UCS2, 70, 1),
        ("ж" * 71, Encoding.UCS2, 71, 2),
        ("ж" * 134, Encoding.UCS2, 134, 2),
        ("😀" * 35, Encoding.UCS2, 70, 1),
        ("😀" * 36, Encoding.UCS2, 72, 2),
        ("ж" * 66 + "😀" + "ж" * 66, Encoding.UCS2, 134, 3),  # no surrogate pair is split
        ("`", Encoding.UCS2, 1, 1),  # the backtick is not in GSM-7
    ],
)
def test_segments_are_counted_as_gateways_do(text: str, encoding: Encoding, units: int, segments: int) -> None:
    assert sms_segments(text) == (encoding, units, segments)


@given(st.text(alphabet=ALPHABET, max_size=700))
def test_the_count_equals_cutting_the_text_up(text: str) -> None:
    # Given the text's characters with their widths
    encoding, units, segments = sms_segments(text)
    widths = [(2 if c in "€^" else 1) if encoding is Encoding.GSM7 else len(c.encode("utf-16-le")) // 2 for c in text]
    assert units == sum(widths)
    # When it is cut greedily, never inside a character
    parts = [0]
    for width in widths:
        if parts[-1] + width > encoding.part:
            parts.append(0)
        parts[-1] += width
    # Then the count is the number of pieces, or one where it fits whole
    assert segments == (0 if not text else 1 if units <= encoding.single else len(parts))
