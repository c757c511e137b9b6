"""From a definition to one SQL expression."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.utils import timezone

from campaigns.segments.conditions import Context, Sql, compiled
from campaigns.segments.definition import Condition, Group, conditions, read
from campaigns.segments.references import look_up


def where(definition: Mapping[str, object], *, now: datetime | None = None, few: bool = False) -> tuple[str, list[Any]]:
    """A boolean over the alias `r` of preferences_recipient, never null, with its parameters in order; `{}` is TRUE.

    Reads the categories, lists and campaigns that the definition names. `now` is the end of "the last N days";
    `few` makes it quick for a few people instead of for all. A statement over everybody wants `WORK_MEM`.
    Raises DefinitionInvalid with everything that is wrong, or is not there any more.
    """
    group = read(definition)
    if group is None:
        return "TRUE", []
    return _node(group, Context(now or timezone.now(), look_up(conditions(group)), few))


def _node(node: Condition | Group, context: Context) -> Sql:
    if isinstance(node, Condition):
        return compiled(node, context)
    parts = [_node(item, context) for item in node.items]
    joined = (" AND " if node.kind == "all" else " OR ").join(sql for sql, _ in parts)
    parameters = [parameter for _, given in parts for parameter in given]
    return (f"NOT ({joined})" if node.kind == "none" else f"({joined})"), parameters
