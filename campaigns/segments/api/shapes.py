"""What the calls about segments and lists read and answer with."""

from datetime import datetime
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from campaigns.segments.estimating import MAX_SHOWN
from campaigns.segments.lists import MAX_IDS
from preferences.api.shapes import ExternalId

Name = Annotated[str, Meta(min_length=1, max_length=100)]
Description = Annotated[str, Meta(max_length=300)]
Definition = Annotated[dict[str, Any], Meta(description="Groups of conditions; {} is everyone. See docs/segments.md")]


class SegmentBody(Struct, forbid_unknown_fields=True):
    """A segment to be."""

    name: Name
    definition: Definition
    description: Description = ""


class SegmentChange(Struct, forbid_unknown_fields=True):
    """What is named is changed, the rest stays."""

    name: Name | UnsetType = UNSET
    definition: Definition | UnsetType = UNSET
    description: Description | UnsetType = UNSET


class SegmentShape(Struct):
    """A segment. `people` is the last count that somebody asked for, null before the first."""

    id: int
    name: str
    description: str
    definition: dict[str, Any]
    people: int | None
    is_exact: bool
    counted_at: datetime | None
    created_at: datetime
    updated_at: datetime


class SegmentPage(Struct):
    """Newest first."""

    results: list[SegmentShape]
    next_cursor: str | None


class SegmentDefinitionBody(Struct, forbid_unknown_fields=True):
    """A definition that need not be kept."""

    definition: Definition


class SegmentEstimate(Struct):
    """How many people. `is_exact`: counted a moment ago; otherwise about so many."""

    people: int
    is_exact: bool


class SegmentSampleBody(Struct, forbid_unknown_fields=True):
    """A definition, and how many people to show."""

    definition: Definition
    limit: Annotated[int, Meta(ge=1, le=MAX_SHOWN)] = 10


class SegmentPerson(Struct):
    external_id: str
    name: str
    locale: str


class SegmentSample(Struct):
    """Some of those who meet it, the newest where that is quick to tell."""

    results: list[SegmentPerson]


class ListBody(Struct, forbid_unknown_fields=True):
    """A list to be, without anybody on it."""

    name: Name
    description: Description = ""


class ListChange(Struct, forbid_unknown_fields=True):
    """What is named is changed, the rest stays."""

    name: Name | UnsetType = UNSET
    description: Description | UnsetType = UNSET


class ListShape(Struct):
    """A list. `size` is how many people are on it."""

    id: int
    name: str
    description: str
    size: int
    created_at: datetime
    updated_at: datetime


class ListPage(Struct):
    """Newest first."""

    results: list[ListShape]
    next_cursor: str | None


class ListMembersBody(Struct, forbid_unknown_fields=True):
    """Up to 10,000 people by your own ids."""

    external_ids: Annotated[list[ExternalId], Meta(min_length=1, max_length=MAX_IDS)]


class ListMembersChanged(Struct):
    """`changed` were added or taken off, `unchanged` were so already; `unknown` are ids that nobody has."""

    changed: int
    unchanged: int
    unknown: list[str]
    size: int


class ListMembersPage(Struct):
    """External ids of those who are on the list, newest people first."""

    results: list[str]
    next_cursor: str | None
