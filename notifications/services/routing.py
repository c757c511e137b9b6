"""Which channels a message takes to a person, or the reason why not. Pure: values in, values out."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import msgspec

from core.ids import Key
from notifications.choices import Channel, SkipReason
from preferences.services import CategoryInfo, Reach

_PUSH = Channel.PUSH.value
_OPTED_OUT, _SUPPRESSED = SkipReason.OPTED_OUT.value, SkipReason.SUPPRESSED.value
_NO_ADDRESS = SkipReason.NO_ADDRESS.value

#: Asked for one person, category and channel: a SkipReason, or an empty string when it lets through.
Gate = Callable[[Reach, CategoryInfo, str], str]


class Route(msgspec.Struct, frozen=True, gc=False):
    """One delivery to be: a channel, for push the device, and a reason when it ends before it starts."""

    channel: str
    device: Key | None = None
    skip: str = ""


def preference(reach: Reach, category: CategoryInfo, channel: str) -> str:
    """What the person said about this category here. Like each gate of routing, a SkipReason or an empty string."""
    return "" if _allows(reach, category, channel) else _OPTED_OUT


def _allows(reach: Reach, category: CategoryInfo, channel: str) -> bool:
    return reach.allows(channel, category.id, category.is_required, category.is_marketing)


def suppression(reach: Reach, category: CategoryInfo, channel: str) -> str:
    """Whether the address must not be used."""
    return _SUPPRESSED if channel in reach.suppressed else ""


def address(reach: Reach, category: CategoryInfo, channel: str) -> str:
    """Whether there is anything to send to."""
    return "" if reach.has_address(channel) else _NO_ADDRESS


#: In the order they are asked; the first that refuses is the reason on the record.
GATES: Mapping[str, Gate] = {"preference": preference, "suppression": suppression, "address": address}


def refusal(reach: Reach, category: CategoryInfo, channel: str) -> str:
    """Why this channel must not be used, as a SkipReason, or an empty string: preference, then suppression. Both are
    asked only of who has something that could refuse, which few people have."""
    if reach.off and (skip := preference(reach, category, channel)):
        return skip
    return suppression(reach, category, channel) if reach.suppressed else ""


def route(reach: Reach, category: CategoryInfo, channels: tuple[str, ...]) -> Sequence[Route]:
    """The deliveries of one notification, in the order of `channels`: for push one per device."""
    if reach.has_email and reach.has_phone and not (reach.off or reach.suppressed or _PUSH in channels):
        return _to_all(channels)
    routes: list[Route] = []
    for channel in channels:
        skip = refusal(reach, category, channel) or address(reach, category, channel)
        if skip or channel != _PUSH:
            routes.append(Route(channel, None, skip))
        else:
            routes.extend([Route(channel, device) for device in reach.devices])
    return routes


@lru_cache(maxsize=256)
def _to_all(channels: tuple[str, ...]) -> tuple[Route, ...]:
    """Most people have every address and nothing against any channel: one value serves them all."""
    return tuple(Route(channel) for channel in channels)
