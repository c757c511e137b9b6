"""Which channels a message takes to a person, or the reason why not. Pure: values in, values out."""

from collections.abc import Sequence
from functools import lru_cache

import msgspec

from core.ids import Key
from notifications.choices import Channel, SkipReason
from preferences.services import CategoryInfo, Reach

_PUSH = Channel.PUSH.value


class Route(msgspec.Struct, frozen=True, gc=False):
    """One delivery to be: a channel, for push the device, and a reason when it ends before it starts."""

    channel: str
    device: Key | None = None
    skip: str = ""


def refusal(reach: Reach, category: CategoryInfo, channel: str) -> str:
    """The first gate that refuses this channel, as a SkipReason, or an empty string: preference, then suppression."""
    if not reach.allows(channel, category.id, category.is_required):
        return SkipReason.OPTED_OUT.value
    if channel in reach.suppressed:
        return SkipReason.SUPPRESSED.value
    return ""


def route(reach: Reach, category: CategoryInfo, channels: tuple[str, ...]) -> Sequence[Route]:
    """The deliveries of one notification, in the order of `channels`: for push one per device."""
    if reach.has_email and reach.has_phone and not (reach.off or reach.suppressed or _PUSH in channels):
        return _to_all(channels)
    routes: list[Route] = []
    for channel in channels:
        skip = refusal(reach, category, channel)
        if not skip and not reach.has_address(channel):
            skip = SkipReason.NO_ADDRESS.value
        if skip or channel != _PUSH:
            routes.append(Route(channel, None, skip))
        else:
            routes.extend([Route(channel, device) for device in reach.devices])
    return routes


@lru_cache(maxsize=256)
def _to_all(channels: tuple[str, ...]) -> tuple[Route, ...]:
    """Most people have every address and nothing against any channel: one value serves them all."""
    return tuple(Route(channel) for channel in channels)
