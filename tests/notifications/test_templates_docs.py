"""The page for authors says what the code does."""

from pathlib import Path

import pytest

from notifications.services.rendering import FIELDS, Kind
from notifications.services.rendering.filters import FILTERS, MAX_ITEMS, MAX_VALUE
from notifications.services.rendering.sandbox import MAX_EXPRESSION, MAX_LOCALS, MAX_RANGE, MAX_STEPS

PAGE = (Path(__file__).parents[2] / "docs" / "templates.md").read_text()
KINDS = {Kind.LINE: "one line", Kind.TEXT: "text", Kind.HTML: "HTML", Kind.LINK: "link"}


@pytest.mark.parametrize(("channel", "field"), [(channel, field) for channel in FIELDS for field in FIELDS[channel]])
def test_every_field_is_documented_as_it_is(channel: str, field: str) -> None:
    spec = FIELDS[channel][field]
    name = f"**{field}**" if spec.required else field
    beyond = "cut" if spec.truncate else "refused"

    assert f"| {channel} | {name} | {KINDS[spec.kind]} | {spec.max_length:,} | {beyond} |" in PAGE


def test_every_filter_is_documented() -> None:
    listed = PAGE.partition("Filters: ")[2].partition(".\n")[0].split()

    assert {name.strip("`") for name in listed} == set(FILTERS)


@pytest.mark.parametrize("limit", [MAX_STEPS, MAX_VALUE, MAX_ITEMS, MAX_RANGE, MAX_EXPRESSION, MAX_LOCALS])
def test_every_limit_is_documented(limit: int) -> None:
    assert f"{limit:,}" in PAGE.partition("## Limits")[2]
