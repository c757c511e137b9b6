"""Asking a definition of the people there are."""

from collections.abc import Mapping
from typing import Any

from campaigns.segments import where
from preferences.models import Recipient


def condition(field: str, op: str, value: Any = None) -> dict[str, Any]:
    return {"field": field, "op": op, **({} if value is None else {"value": value})}


def everyone_who(definition: Mapping[str, Any]) -> set[str]:
    """The external ids of those who meet it."""
    sql, parameters = where(definition)
    found = Recipient.objects.raw(f"SELECT r.* FROM preferences_recipient r WHERE {sql}", parameters)
    return {person.external_id for person in found}


def who(field: str, op: str, value: Any = None) -> set[str]:
    return everyone_who({"all": [condition(field, op, value)]})
