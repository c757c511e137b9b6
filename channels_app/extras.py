"""What of `metadata.in_app` the inbox itself understands: buttons, and a key that bundles items of the same thing."""

from collections.abc import Mapping
from typing import Annotated

import msgspec

from channels_app.links import is_safe_link

#: More would be a form. Fewer fit a phone.
MAX_ACTIONS = 3
MAX_LABEL = 40
MAX_GROUP = 100


class Action(msgspec.Struct, forbid_unknown_fields=True):
    """A button: it leads to a link, or fires `carillon-action` in the page with the name of an event."""

    label: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_LABEL)]
    link: str = ""
    event: Annotated[str, msgspec.Meta(pattern=r"^(|[a-z][a-z0-9._-]{0,63})\Z")] = ""
    primary: bool = False


class Extras(msgspec.Struct):
    """The keys that mean something here; all others are the page's own."""

    actions: Annotated[list[Action], msgspec.Meta(max_length=MAX_ACTIONS)] = []
    group: Annotated[str, msgspec.Meta(max_length=MAX_GROUP)] = ""


def fault(data: Mapping[str, object]) -> str:
    """Why the inbox cannot show this as it is meant; empty when it can."""
    if "actions" not in data and "group" not in data:
        return ""
    try:
        extras = msgspec.convert(data, Extras)
    except msgspec.ValidationError as error:
        return f"metadata.in_app: {error}"
    for n, action in enumerate(extras.actions):
        if bool(action.link) == bool(action.event):
            return f"metadata.in_app.actions[{n}] needs either a link or an event"
        if action.link and not is_safe_link(action.link):
            return f"metadata.in_app.actions[{n}].link is neither http, https nor a path"
    return ""
