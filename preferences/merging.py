"""Attributes that were changed in two places: entries, not the whole object, are what somebody changes in a form."""

import json
from collections.abc import Mapping
from typing import Any


def merged(now: Mapping[str, Any], shown: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What stands there now, with what was changed by somebody who was shown this and wants that: entries of the first
    level that they changed, added or took away."""
    changed = {key: value for key, value in wanted.items() if key not in shown or _text(shown[key]) != _text(value)}
    kept = {key: value for key, value in now.items() if key in wanted or key not in shown}
    return {**kept, **changed}


def _text(value: Any) -> str:
    """Compared as JSON, to which true is not 1."""
    return json.dumps(value, sort_keys=True)
