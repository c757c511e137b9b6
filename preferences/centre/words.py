"""The table of categories by channel: how it is shown, and what a form of it changes."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from preferences.choices import Channel, Purpose
from preferences.kinds import Kinds
from preferences.models import Category, Recipient
from preferences.services import PreferenceChange, marketing, subjects

#: Stands where a category's slug would, for a word on the whole channel.
EVERY = "*"
#: And for a word on all marketing.
MARKETING = "+"
#: `<slug>:<channel>:<1 or 0>`: what a switch showed when the page was made.
_SHOWN = re.compile(r"([-a-zA-Z0-9_]{1,64}|\*|\+):([a-z_]{1,8}):([01])")

Words = Mapping[tuple[int | None, str], bool]


@dataclass(frozen=True, slots=True)
class Switch:
    """One cell: a switch that is on or off; `always` on, where a category is required; or nothing, where the category
    does not use the channel."""

    name: str
    channel: Channel
    is_on: bool
    kind: str
    category_name: str = ""

    @property
    def shown(self) -> str:
        return f"{self.name}:{int(self.is_on)}"

    @property
    def id(self) -> str:
        return f"switch-{self.name.replace(EVERY, 'every').replace(MARKETING, 'all-marketing').replace(':', '-')}"


@dataclass(frozen=True, slots=True)
class Row:
    category: Category
    switches: list[Switch]

    @property
    def at_most(self) -> str:
        """`At most 2 a day and 5 a week.` What is required comes however much it is."""
        caps = ((self.category.cap_per_day, "a day"), (self.category.cap_per_week, "a week"))
        says = " and ".join(f"{cap:,} {span}" for cap, span in caps if cap)
        return f"At most {says}." if says and not self.category.is_required else ""


@dataclass(frozen=True, slots=True)
class Table:
    """`channels` are the switches of whole channels, `marketing` those of all marketing (none, where there is no such
    category), in the order of every row's."""

    channels: list[Switch]
    marketing: list[Switch]
    rows: list[Row]


def table(recipient: Recipient, kinds: Kinds) -> Table:
    """What this person has said of these, or what holds where they said nothing. The rule is that of `Reach.allows`."""
    words, stopped = subjects.words_of(recipient.pk), marketing.stopped(recipient.pk)
    return Table(
        [
            Switch(f"{EVERY}:{channel.value}", channel, words.get((None, channel), True), "switch")
            for channel in Channel
        ],
        [
            Switch(
                f"{MARKETING}:{channel.value}",
                channel,
                channel.value not in stopped and words.get((None, channel), True),
                "switch",
            )
            for channel in Channel
            if kinds.has_marketing
        ],
        [Row(category, [_switch(words, stopped, category, channel) for channel in Channel]) for category in kinds.rows],
    )


def _switch(words: Words, stopped: Collection[str], category: Category, channel: Channel) -> Switch:
    said = words.get((category.pk, channel))
    wider = words.get((None, channel), True)
    if category.purpose == Purpose.MARKETING and channel.value in stopped:
        wider = False
    is_on = category.is_required or (wider if said is None else said)
    kind = "switch"
    if channel not in category.channels and said is None:
        kind = "none"
    elif category.is_required:
        kind = "always"
    return Switch(f"{category.slug}:{channel.value}", channel, is_on, kind, category.name)


def changes(shown: Sequence[str], on: Iterable[str], said: Words) -> list[PreferenceChange]:
    """What somebody changed who was shown these switches and left `on` switched on.

    Only what differs from what was shown is a change: a form that stood open does not undo what another did meanwhile.
    A whole channel that is switched on again takes its word back. Switched off, it takes back the words that would let
    a category through all the same. Raises ValueError for what this page cannot have sent.
    """
    left_on = set(on)
    found: list[PreferenceChange] = []
    by_pk = {} if not said else dict(Category.objects.values_list("pk", "slug"))
    for one in shown:
        match = _SHOWN.fullmatch(one)
        if match is None or match[2] not in Channel.values:
            raise ValueError("This is no switch of the page.")
        slug, channel, was_on = match[1], match[2], match[3] == "1"
        is_on = f"{slug}:{channel}" in left_on
        if is_on == was_on:
            continue
        if slug == MARKETING:
            found.insert(0, PreferenceChange(None, channel, None if is_on else False, marketing=True))
            continue
        if slug != EVERY:
            found.append(PreferenceChange(slug, channel, is_on))
            continue
        found.insert(0, PreferenceChange(None, channel, None if is_on else False))
        if not is_on:
            found[1:1] = [
                PreferenceChange(by_pk[pk], channel, None)
                for (pk, on_channel), enabled in said.items()
                if pk is not None and enabled and on_channel == channel
            ]
    return found
