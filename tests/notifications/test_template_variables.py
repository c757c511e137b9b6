"""A template's variables as lines in the admin."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from notifications.admin.variable_lines import VariablesField, lines, parsed

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,5}", fullmatch=True)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["3", " x ", "a = b", "[1", "NaN"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(NAMES, VALUES, max_size=4))
def test_what_is_shown_is_read_back(variables: dict[str, Any]) -> None:
    assert parsed("\n".join(lines(variables))) == variables


def test_a_line_each_with_samples_of_any_kind() -> None:
    text = 'order.id = A-1001\norder.items = [{"name": "Socks"}]\n\n  count = 3\ncode = "123"\nmotto = Less = more\n'

    assert parsed(text) == {
        "order": {"id": "A-1001", "items": [{"name": "Socks"}]},
        "count": 3,
        "code": "123",
        "motto": "Less = more",
    }


@pytest.mark.parametrize("line", ["broken", "= x", "a b = x", "ok = 2", "ok.a = 2", "a." * 11 + "a = 1"])
def test_a_fault_names_its_line(line: str) -> None:
    with pytest.raises(ValidationError, match="Line 2"):
        parsed(f"ok = 1\n{line}")


@pytest.mark.parametrize("text", ["recipient = x", "a = " + "[" * 5_000 + "\nunsubscribe_url = x", "a = x\x00"])
def test_the_field_refuses_what_cannot_be_declared(text: str) -> None:
    with pytest.raises(ValidationError):
        VariablesField().clean(text)
