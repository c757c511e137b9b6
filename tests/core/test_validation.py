from datetime import datetime
from typing import Annotated, Any

import pytest
from django.http import QueryDict
from msgspec import Meta, Struct

from core.api import validation
from core.api.problems import Invalid
from preferences.choices import Channel


class Thing(Struct, kw_only=True, forbid_unknown_fields=True):
    name: Annotated[str, Meta(min_length=1, max_length=5)]
    channels: list[Channel] | None = None
    at: Annotated[datetime, Meta(tz=True)] | None = None
    data: dict[str, Any] = {}


def faults(refused: pytest.ExceptionInfo[Invalid]) -> dict[str, str]:
    errors: Any = refused.value.extra["errors"]
    return {error.get("pointer", error.get("parameter")): error["code"] for error in errors}


def test_every_fault_of_a_body_is_named() -> None:
    document = {"name": "", "channels": ["push", "fax"], "at": "2026-01-01T00:00:00", "data": [], "a/b~c": 1}

    with pytest.raises(Invalid) as refused:
        validation.read(document, Thing)

    assert faults(refused) == {
        "/name": "length",
        "/channels/1": "invalid",
        "/at": "naive",
        "/data": "type",
        "/a~1b~0c": "unknown_field",
    }


def test_the_items_of_a_list_are_each_pointed_at() -> None:
    with pytest.raises(Invalid) as refused:
        validation.read_list({"things": [{"name": "a"}, {}, 3]}, "things", Thing, at_most=5)

    assert faults(refused) == {"/things/1/name": "required", "/things/2": "type"}


@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        ([], ""),
        ({}, "/things"),
        ({"things": {}}, "/things"),
        ({"things": []}, "/things"),
        ({"things": [{"name": "a"}] * 6}, "/things"),
        ({"things": [{"name": "a"}], "other": 1}, "/other"),
    ],
)
def test_a_list_must_be_one_and_within_bounds(document: Any, pointer: str) -> None:
    with pytest.raises(Invalid) as refused:
        validation.read_list(document, "things", Thing, at_most=5)

    assert list(faults(refused)) == [pointer]


def test_a_misspelt_filter_is_a_fault_and_not_a_list_of_everything() -> None:
    with pytest.raises(Invalid) as refused:
        validation.read_query(QueryDict("name=a&nme=b&limit=3"), Thing, besides={"limit"})

    assert faults(refused) == {"nme": "unknown_field"}


def test_a_huge_wrong_value_is_not_echoed() -> None:
    with pytest.raises(Invalid) as refused:
        validation.read({"name": "a", "channels": ["x" * 100_000]}, Thing)

    errors: Any = refused.value.extra["errors"]
    assert len(errors[0]["detail"]) < 300
