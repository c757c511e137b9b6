"""What can be asked of people: the fields, and for each the operators that make sense. Nothing else is compiled.

The builder in the admin, the check of a definition and the documentation are made from these tables. A new field is a
line here and its SQL in `conditions`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Takes(StrEnum):
    """What an operator wants beside the field."""

    NOTHING = "nothing"
    TEXT = "text"
    TEXTS = "texts"
    NUMBER = "number"
    DATE = "date"
    DAYS = "days"
    WISH = "wish"  # a channel, and perhaps a category
    PLATFORM = "platform"
    LIST = "list"
    ENGAGEMENT = "engagement"  # days, and perhaps a category or a campaign


class Kind(StrEnum):
    """Which SQL a field is compiled by."""

    EXACT = "exact"  # text that programs made: compared as it is
    TEXT = "text"  # text that people typed: compared in any case
    PRESENCE = "presence"
    MOMENT = "moment"
    ATTRIBUTE = "attribute"
    PREFERENCE = "preference"
    DEVICE = "device"
    LIST = "list"
    ENGAGEMENT = "engagement"


@dataclass(frozen=True, slots=True)
class Op:
    """One operator. `denies` names the operator whose opposite it is: who has no value at all meets the opposite. In
    the label an ellipsis stands where the value goes."""

    name: str
    label: str
    takes: Takes
    denies: str = ""


_IS = Op("is", "is", Takes.TEXT)
_IS_NOT = Op("is_not", "is not", Takes.TEXT, denies="is")
_IN = Op("in", "is one of", Takes.TEXTS)
_NOT_IN = Op("not_in", "is none of", Takes.TEXTS, denies="in")
_CONTAINS = Op("contains", "contains", Takes.TEXT)
_CONTAINS_NOT = Op("not_contains", "does not contain", Takes.TEXT, denies="contains")
_STARTS = Op("starts_with", "starts with", Takes.TEXT)
_STARTS_NOT = Op("not_starts_with", "does not start with", Takes.TEXT, denies="starts_with")
_SET = Op("is_set", "is filled in", Takes.NOTHING)
_NOT_SET = Op("is_not_set", "is empty", Takes.NOTHING, denies="is_set")
_BEFORE = Op("before", "is before", Takes.DATE)
_FROM = Op("on_or_after", "is on or after", Takes.DATE)
_WITHIN = Op("within_days", "was in the last … days", Takes.DAYS)
_NOT_WITHIN = Op("not_within_days", "was not in the last … days", Takes.DAYS, denies="within_days")

_NUMBERS = (
    Op("equals", "= (number)", Takes.NUMBER),
    Op("not_equals", "≠ (number)", Takes.NUMBER, denies="equals"),
    Op("more_than", "> (number)", Takes.NUMBER),
    Op("at_least", "≥ (number)", Takes.NUMBER),
    Op("less_than", "< (number)", Takes.NUMBER),
    Op("at_most", "≤ (number)", Takes.NUMBER),
)
_BOOLEANS = (Op("is_true", "is yes", Takes.NOTHING), Op("is_false", "is no", Takes.NOTHING))
_COMING = Op("in_next_days", "is in the next … days", Takes.DAYS)

_OF_KIND: Final[dict[Kind, tuple[Op, ...]]] = {
    Kind.EXACT: (_IS, _IS_NOT, _IN, _NOT_IN, _STARTS, _STARTS_NOT),
    Kind.TEXT: (_IS, _IS_NOT, _IN, _NOT_IN, _CONTAINS, _CONTAINS_NOT, _STARTS, _STARTS_NOT, _SET, _NOT_SET),
    Kind.PRESENCE: (_SET, _NOT_SET),
    Kind.MOMENT: (_WITHIN, _NOT_WITHIN, _BEFORE, _FROM),
    Kind.ATTRIBUTE: (
        *(_IS, _IS_NOT, _IN, _NOT_IN, _CONTAINS, _CONTAINS_NOT, _STARTS, _STARTS_NOT, _SET, _NOT_SET),
        *_NUMBERS,
        *_BOOLEANS,
        *(_BEFORE, _FROM, _WITHIN, _NOT_WITHIN, _COMING),
    ),
    Kind.PREFERENCE: (
        Op("opted_out", "has opted out of", Takes.WISH),
        Op("opted_in", "has not opted out of", Takes.WISH, denies="opted_out"),
    ),
    Kind.DEVICE: (
        Op("has", "is registered", Takes.PLATFORM),
        Op("has_not", "is not registered", Takes.PLATFORM, denies="has"),
    ),
    Kind.LIST: (
        Op("in", "is on", Takes.LIST),
        Op("not_in", "is not on", Takes.LIST, denies="in"),
    ),
    Kind.ENGAGEMENT: (
        Op("within_days", "in the last … days", Takes.ENGAGEMENT),
        Op("not_within_days", "not in the last … days", Takes.ENGAGEMENT, denies="within_days"),
    ),
}


@dataclass(frozen=True, slots=True)
class Field:
    """Something about a person that can be asked."""

    name: str
    label: str
    about: str  # the heading it stands under
    kind: Kind

    @property
    def ops(self) -> Sequence[Op]:
        return _OF_KIND[self.kind]

    def op(self, name: object) -> Op | None:
        return next((op for op in self.ops if op.name == name), None)


#: What stands before the key of an attribute: `attributes.plan`.
ATTRIBUTES: Final = "attributes."

FIELDS: Final[dict[str, Field]] = {
    field.name: field
    for field in (
        Field("external_id", "External id", "Person", Kind.EXACT),
        Field("name", "Name", "Person", Kind.TEXT),
        Field("email", "Email address", "Person", Kind.PRESENCE),
        Field("phone", "Phone number", "Person", Kind.PRESENCE),
        Field("language", "Language", "Person", Kind.TEXT),
        Field("locale", "Locale", "Person", Kind.TEXT),
        Field("timezone", "Time zone", "Person", Kind.EXACT),
        Field("created_at", "Known since", "Person", Kind.MOMENT),
        Field("attributes", "Attribute", "Person", Kind.ATTRIBUTE),
        Field("device", "Push device", "How they are reached", Kind.DEVICE),
        Field("preference", "Opt-out", "How they are reached", Kind.PREFERENCE),
        Field("list", "Saved list", "Lists", Kind.LIST),
        Field("sent", "Was sent a message", "What they did", Kind.ENGAGEMENT),
        Field("opened", "Opened a message", "What they did", Kind.ENGAGEMENT),
        Field("clicked", "Clicked a link", "What they did", Kind.ENGAGEMENT),
    )
}
