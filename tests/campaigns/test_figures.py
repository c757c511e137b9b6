"""What a campaign's page shows adds up: people to the audience, messages to what was queued."""

from datetime import timedelta

import pytest

from analytics import selectors as analytics
from analytics.services import verify
from campaigns import selectors
from notifications.choices import EventType
from notifications.models import Delivery
from notifications.services.claims import ProviderReceipt
from notifications.services.tracking import DeliveryTracker
from preferences.models import Category
from preferences.services.service import category_cache
from tests import factories
from tests.campaigns.conftest import hand_out, make_campaign, start, work

pytestmark = pytest.mark.django_db


def test_people_are_counted_once_however_often_they_come_and_programs_not_at_all(campaign, provider):
    hand_out(campaign)
    work()
    by_person: dict = {}
    for delivery in Delivery.objects.exclude(status="skipped"):
        by_person.setdefault(delivery.recipient_id, []).append(delivery.id)
    both = next(ids for ids in by_person.values() if len(ids) == 2)

    def hit(id, type, machine=""):
        return ProviderReceipt(id, type, "link", machine=machine)

    tracker = DeliveryTracker()
    tracker.receipts([hit(id, EventType.OPENED) for id in both * 2])
    tracker.receipts([hit(both[0], EventType.CLICKED), hit(both[0], EventType.CLICKED)])
    others = [ids[0] for ids in by_person.values() if ids != both]
    tracker.receipts([hit(id, EventType.OPENED, "privacy_proxy") for id in others])

    shown = figures(campaign)
    assert {name: shown["messages"][name] for name in ("opened_people", "opens", "clicked_people", "clicks")} == {
        "opened_people": 1,
        "opens": 4,
        "clicked_people": 1,
        "clicks": 2,
    }
    assert shown["messages"]["machines"] == len(others)
    assert shown["machines"] == [{"label": "Open: fetched in advance by a mail privacy proxy", "count": len(others)}]


@pytest.fixture
def campaign(settings):
    """Six people: three whole, one without an email, one opted out of email, one reachable nowhere."""
    settings.CAMPAIGN_CHUNK = 4
    factories.recipients(3)
    factories.recipient("no-mail", email="")
    factories.preference(factories.recipient("no-thanks"), "email")
    gone = factories.recipient("nowhere", email="")
    factories.preference(gone, "in_app")
    return start(make_campaign())


def figures(campaign) -> dict:
    campaign.refresh_from_db()
    return selectors.snapshot(campaign)


def adds_up(shown: dict) -> bool:
    people, messages = shown["people"], shown["messages"]
    parts = ("reached", "unreachable", "dropped", "erased", "waiting")
    channels = {name: sum(channel[name] for channel in shown["channels"]) for name in ("queued", "sent", "skipped")}
    return (
        people["audience"] == sum(people[part] for part in parts)
        and messages["queued"] == messages["ended"] + messages["in_flight"]
        and channels == {name: messages[name] for name in channels}
        and messages["skipped"] == sum(skip["count"] for skip in shown["skips"])
    )


def test_every_person_and_every_message_is_accounted_for_at_every_step(campaign, provider):
    shown = figures(campaign)
    assert adds_up(shown)
    assert (shown["people"]["waiting"], shown["moving"]) == (6, True)

    hand_out(campaign, steps=1)
    shown = figures(campaign)
    assert adds_up(shown)
    assert (shown["people"]["waiting"], shown["people"]["handled"]) == (2, 4)

    hand_out(campaign)
    shown = figures(campaign)
    assert adds_up(shown)
    assert shown["people"] == {
        "audience": 6, "handled": 6, "reached": 5, "unreachable": 1, "dropped": 0, "erased": 0, "waiting": 0,
    }  # fmt: skip
    assert (shown["messages"]["queued"], shown["messages"]["in_flight"]) == (8, 8)
    assert shown["skips"] == [
        {"label": "No address", "count": 2, "reason": "no_address"},
        {"label": "Opted out", "count": 2, "reason": "opted_out"},
    ]

    work()
    shown = figures(campaign)
    assert adds_up(shown)
    assert (shown["messages"]["sent"], shown["messages"]["in_flight"], shown["moving"]) == (8, 0, False)
    assert shown["status_label"] == "Completed"


def test_who_was_sent_the_very_same_already_is_told_as_a_duplicate(campaign, provider):
    Category.objects.update(dedup_seconds=300)
    category_cache.forget()
    hand_out(campaign)
    again = start(make_campaign("Sale again", template=campaign.template))
    Category.objects.update(dedup_seconds=300)
    category_cache.forget()

    hand_out(again)

    shown = figures(again)
    assert adds_up(shown)
    assert (shown["people"]["reached"], shown["messages"]["queued"]) == (0, 0)
    assert {"label": "Duplicate", "count": 8, "reason": "duplicate"} in shown["skips"]


def test_an_opt_out_after_acceptance_is_counted_once_and_leaves_nothing_in_flight(campaign, provider):
    hand_out(campaign)
    person = Delivery.objects.filter(channel="email", status="queued").first().recipient
    factories.preference(person, "email")

    work()

    shown = figures(campaign)
    assert adds_up(shown)
    assert (shown["messages"]["sent"], shown["messages"]["skipped"], shown["messages"]["in_flight"]) == (7, 5, 0)


def test_receipts_show_up_per_channel(campaign, provider):
    hand_out(campaign)
    work()
    emails = list(Delivery.objects.filter(channel="email", status="sent").values_list("id", flat=True))
    DeliveryTracker().receipts([ProviderReceipt(id, EventType.DELIVERED, "fake") for id in emails])
    DeliveryTracker().receipts([ProviderReceipt(emails[0], EventType.CLICKED, "fake")] * 2)

    shown = figures(campaign)

    email = next(channel for channel in shown["channels"] if channel["key"] == "email")
    assert (email["sent"], email["delivered"], email["clicked"]) == (3, 3, 1)
    assert adds_up(shown)


def test_the_counters_behind_it_equal_the_events(campaign, provider):
    hand_out(campaign)
    work()

    assert verify(campaign.started_at, analytics.database_now() + timedelta(minutes=1)) == []
