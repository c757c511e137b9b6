"""A segment's definition, read: groups of conditions, each known to be one that can be compiled.

    {"all": [
        {"field": "attributes.plan", "op": "is", "value": "pro"},
        {"any": [{"field": "opened", "op": "within_days", "value": {"days": 30}},
                 {"field": "created_at", "op": "within_days", "value": 7}]}]}

`all`, `any` or `none` of what a group holds must be true. `{}` is everyone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from campaigns.errors import DefinitionInvalid
from campaigns.segments import values
from campaigns.segments.vocabulary import ATTRIBUTES, FIELDS, Field, Kind, Op
from core.api.problems import pointer
from preferences.validation import MAX_ATTRIBUTE_KEY

GROUPS: Final = ("all", "any", "none")
#: Groups within groups, and conditions in all: more than anybody can read, and a bound on what one statement does.
MAX_DEPTH: Final = 5
MAX_CONDITIONS: Final = 50


@dataclass(frozen=True, slots=True)
class Condition:
    """One question about a person. `key` is the attribute's, `at` the pointer to it in the definition."""

    at: str
    field: Field
    key: str
    op: Op
    value: Any


@dataclass(frozen=True, slots=True)
class Group:
    """Conditions and groups of which all, any or none must be true."""

    kind: str
    items: "tuple[Condition | Group, ...]"


def read(definition: object) -> Group | None:
    """The definition, or None for everyone. Raises DefinitionInvalid with everything that is wrong."""
    if isinstance(definition, Mapping) and not definition:
        return None
    reader = _Reader()
    group = reader.node(definition, "", depth=1)
    if reader.conditions > MAX_CONDITIONS:
        reader.errors = [("", f"{reader.conditions} conditions; {MAX_CONDITIONS} is the most.")]
    if reader.errors:
        raise DefinitionInvalid(reader.errors)
    return group if isinstance(group, Group) else Group("all", (group,) if group else ())


def conditions(node: Condition | Group | None) -> Iterator[Condition]:
    """All conditions, in the order they stand."""
    if isinstance(node, Condition):
        yield node
    elif node is not None:
        for item in node.items:
            yield from conditions(item)


class _Wrong(Exception):
    """One node that can't be used: where, and what is wanted."""

    def __init__(self, at: str, message: str) -> None:
        self.error = (at, message)
        super().__init__(message)


class _Reader:
    """Collects what is wrong on the way."""

    def __init__(self) -> None:
        self.errors: list[tuple[str, str]] = []
        self.conditions = 0

    def node(self, given: object, at: str, depth: int) -> Condition | Group | None:
        try:
            return self._node(given, at, depth)
        except _Wrong as wrong:
            self.errors.append(wrong.error)
            return None

    def _node(self, given: object, at: str, depth: int) -> Condition | Group:
        if not isinstance(given, Mapping):
            raise _Wrong(at, "This must be a condition or a group.")
        if "field" not in given:
            return self._group(given, at, depth)
        self.conditions += 1
        return _condition(given, at)

    def _group(self, given: Mapping[str, object], at: str, depth: int) -> Group:
        if len(given) != 1 or (kind := next(iter(given))) not in GROUPS:
            raise _Wrong(at, "A group is one of “all”, “any” or “none”, with a list of conditions.")
        items, at = given[kind], f"{at}/{kind}"
        if depth > MAX_DEPTH:
            raise _Wrong(at, f"Groups can stand {MAX_DEPTH} deep at most.")
        if not isinstance(items, list):
            raise _Wrong(at, "This must be a list of conditions.")
        if not items:
            raise _Wrong(at, "Add a condition to this group, or remove the group.")
        found = [self.node(item, f"{at}/{position}", depth + 1) for position, item in enumerate(items)]
        return Group(kind, tuple(node for node in found if node))


def _condition(given: Mapping[str, object], at: str) -> Condition:
    for name in given:
        if name not in {"field", "op", "value"}:
            raise _Wrong(at + pointer(name), "A condition has “field”, “op” and “value”.")
    field, key = _field(given["field"])
    if field is None:
        raise _Wrong(f"{at}/field", "There is no such field.")
    if field.kind is Kind.ATTRIBUTE and not _is_key(key):
        raise _Wrong(f"{at}/field", f"Name the attribute: at most {MAX_ATTRIBUTE_KEY} printable characters.")
    op = field.op(given.get("op"))
    if op is None:
        raise _Wrong(f"{at}/op", f"Choose how to compare: {', '.join(op.name for op in field.ops)}.")
    try:
        return Condition(at, field, key, op, values.check(op.takes, given.get("value")))
    except values.ValueRefused as refused:
        raise _Wrong(f"{at}/value{refused.where}", refused.message) from None


def _field(name: object) -> tuple[Field | None, str]:
    """The field, and of an attribute its key."""
    if not isinstance(name, str):
        return None, ""
    if name.startswith(ATTRIBUTES):
        return FIELDS["attributes"], name.removeprefix(ATTRIBUTES)
    return FIELDS.get(name), ""


def _is_key(key: str) -> bool:
    return 0 < len(key) <= MAX_ATTRIBUTE_KEY and key.isprintable()
