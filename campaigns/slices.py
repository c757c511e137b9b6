"""A campaign's notifications in even slices: their ids share a moment and differ in hash bits alone, so the 12 bits
after the version cut them evenly, and any slice is a fair sample of the people."""

from uuid import UUID

from campaigns.models import Campaign

SLICES = 4096


def bounds(campaign: Campaign, first: int, last: int) -> tuple[UUID, UUID]:
    """The ids of the slices from `first` on, before `last`: `low <= id < high`."""
    start = campaign.id_range[0].int | (0x7 << 76)
    return UUID(int=start + (first << 64)), UUID(int=start + (last << 64))


def number_of(id: UUID) -> int:
    """The slice that an id lies in."""
    return (id.int >> 64) & (SLICES - 1)


def holding(campaign: Campaign, people: int) -> int:
    """How many slices have about this many people of those handed out; one at least."""
    return min(SLICES, max(1, SLICES * people // max(1, campaign.accepted)))
