"""Attributes that were changed in two places."""

from typing import Any

import pytest

from preferences.merging import merged

Attributes = dict[str, Any]


@pytest.mark.parametrize(
    ("now", "shown", "wanted", "found"),
    [
        ({"a": 1}, {"a": 1}, {"a": 2}, {"a": 2}),
        ({"a": 3}, {"a": 1}, {"a": 2}, {"a": 2}),
        ({"a": 3}, {"a": 1}, {"a": 1}, {"a": 3}),
        ({}, {"a": 1}, {"a": 1}, {}),
        ({"a": 3}, {"a": 1}, {}, {}),
        ({"b": 1}, {}, {"a": 1}, {"a": 1, "b": 1}),
        ({"a": 1}, {"a": 1}, {"a": True}, {"a": True}),
        ({"a": {"x": 1, "y": 2}}, {"a": {"x": 1, "y": 1}}, {"a": {"y": 1, "x": 1}}, {"a": {"x": 1, "y": 2}}),
    ],
)
def test_each_has_what_they_changed(now: Attributes, shown: Attributes, wanted: Attributes, found: Attributes) -> None:
    made = merged(now, shown, wanted)

    assert made == found
    assert [type(value) for value in made.values()] == [type(value) for value in found.values()]
