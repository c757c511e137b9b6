"""Checks of one language against the others."""

from collections.abc import Iterator

from notifications.choices import Channel
from notifications.services.template_checks.base import Fault, Inquiry, Wording


def says_less(inquiry: Inquiry, wording: Wording) -> Iterator[Fault]:
    """A language that lacks what the default one has, told at the first channel it does have; and one that says
    something nobody will get."""
    default = [one.channel for one in inquiry.wordings if one.locale == inquiry.default_locale]
    own = [one.channel for one in inquiry.wordings if one.locale == wording.locale]
    if wording.locale == inquiry.default_locale or not own:
        return
    if wording.channel == own[0] and (lacking := [channel for channel in default if channel not in own]):
        said = ", ".join(str(Channel(channel).label) for channel in lacking)
        yield Fault("", "falls_back", f"{wording.locale} has no words for {said}: a less specific language is sent.")
    if wording.channel not in default:
        label = Channel(wording.channel).label
        yield Fault("", "never_sent", f"{inquiry.default_locale} has no words for {label}, so these are never sent.")
