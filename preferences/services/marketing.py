"""Writing and reading people's no to all marketing, channel by channel."""

from collections.abc import Mapping
from uuid import UUID

from preferences.choices import Changed, Purpose
from preferences.models import ALL_MARKETING, MarketingStop, Preference
from preferences.services import history
from preferences.services.inputs import Trace


def stopped(recipient_id: UUID) -> set[str]:
    """The channels on which this person wants no marketing."""
    return set(MarketingStop.objects.filter(recipient_id=recipient_id).values_list("channel", flat=True))


def apply(recipient_id: UUID, wanted: Mapping[str, bool], trace: Trace) -> None:
    """Whether a locked recipient wants marketing, by channel. A no takes back the yes they said to single categories of
    marketing there, which would let those through all the same; what is said after it counts."""
    said = stopped(recipient_id) if wanted else set()
    noes = [channel for channel, is_wanted in wanted.items() if not is_wanted and channel not in said]
    taken_back = [channel for channel, is_wanted in wanted.items() if is_wanted and channel in said]
    if noes:
        rows = [MarketingStop(recipient_id=recipient_id, channel=channel) for channel in noes]
        MarketingStop.objects.bulk_create(rows, ignore_conflicts=True)
        yeses = Preference.objects.filter(
            recipient_id=recipient_id, channel__in=noes, enabled=True, category__purpose=Purpose.MARKETING
        )
        history.note_words(recipient_id, {(one.category_id, one.channel): None for one in yeses}, trace)
        yeses.delete()
    if taken_back:
        MarketingStop.objects.filter(recipient_id=recipient_id, channel__in=taken_back).delete()
    changes = [(channel, "", "off") for channel in noes] + [(channel, "off", "") for channel in taken_back]
    history.note(
        recipient_id,
        [
            history.Change(Changed.PREFERENCE, before, after, channel=channel, subject=ALL_MARKETING)
            for channel, before, after in changes
        ],
        trace,
    )
