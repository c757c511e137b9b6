"""The demo's traffic: a stream through the real services."""

import time
from argparse import ArgumentTypeError
from typing import Any

import pytest

from campaigns.models import CampaignStatus
from config.demo import _options, traffic_rate
from config.demo_data import catalogue, people, traffic_catalogue
from config.demo_data.traffic import KINDS, Traffic, tide
from config.management.commands.demo_traffic import Seldom
from notifications.drafts import Draft
from notifications.models import Delivery, Notification, OutboxMessage
from notifications.services.notification import NotificationService
from notifications.sources import names
from preferences.models import Category


@pytest.fixture
def few_people(monkeypatch: pytest.MonkeyPatch) -> None:
    """The catalogue, and people by the hundred instead of ten thousand."""
    monkeypatch.setattr(people, "COUNT", 300)
    monkeypatch.setattr("config.demo_data.traffic.CAMPAIGN_SIZE", 50)
    catalogue.seed()
    catalogue.seed(traffic_catalogue.CATEGORIES, traffic_catalogue.TEMPLATES)
    people.seed()


@pytest.mark.django_db
def test_it_is_varied_and_as_much_as_was_asked_for(few_people: None):
    traffic = Traffic(per_second=100, seed=7)

    sent = sum(traffic.step(now / 2, 0.5) for now in range(10))

    assert 250 < sent == Notification.objects.count() < 1000
    assert Category.objects.filter(pk__in=Notification.objects.values("category_id")).count() == 9
    assert set(Delivery.objects.values_list("channel", flat=True)) == {"push", "email", "sms", "in_app"}
    reasons = set(Delivery.objects.filter(status="skipped").values_list("skip_reason", flat=True))
    assert reasons >= {"opted_out", "no_address", "duplicate"}
    assert OutboxMessage.objects.filter(due_at__gt=Notification.objects.latest("created_at").created_at).exists(), (
        "later"
    )


@pytest.mark.django_db
def test_its_callers_have_api_keys_by_whose_names_they_are_called(few_people: None):
    Traffic(per_second=200, seed=7).step(0.0, 1.0)
    Traffic(per_second=200, seed=8).step(0.0, 1.0)

    sources = list(Notification.objects.order_by().values_list("source", flat=True).distinct())

    assert {name.label for name in names(sources).values()} == {kind.service for kind in KINDS}
    assert len(sources) == 6, "a second start finds the keys of the first"


@pytest.mark.django_db
def test_the_visitor_is_talked_to_in_bundles_and_gets_the_rest_as_one_digest(few_people: None, settings: Any):
    sent = Traffic(per_second=1, seed=3).talk()

    told = Notification.objects.filter(recipient__external_id=settings.DEMO_RECIPIENT, category__slug="comments")
    assert 2 <= sent == told.count() <= 4
    assert len({one.metadata["in_app"]["group"] for one in told}) == 1
    fates = {(one.channel, one.status, one.skip_reason) for one in Delivery.objects.all()}
    assert fates == {("in_app", "queued", ""), ("email", "skipped", "digested"), ("push", "skipped", "digested")}


@pytest.mark.django_db
def test_the_visitor_is_asked_again_by_push_and_email_within_two_minutes(few_people: None):
    Traffic(per_second=1).ask()

    due = {row.channel: row.due_at for row in OutboxMessage.objects.all()}
    waits = {channel: round((moment - due["in_app"]).total_seconds()) for channel, moment in due.items()}
    assert waits == {"in_app": 0, "push": 30, "email": 90}
    assert Delivery.objects.filter(status="queued").count() == 4, "push goes to two devices"


@pytest.mark.django_db
def test_the_courier_tries_one_channel_after_the_other(few_people: None, settings: Any):
    draft = Draft(
        recipient=settings.DEMO_RECIPIENT, category="courier", template="at-your-door", data={"order": "A-1001"}
    )
    NotificationService().send([draft], source="test")

    due = {row.channel: row.due_at for row in OutboxMessage.objects.all()}
    assert due["push"] < due["sms"] < due["email"]


def test_what_comes_seldom_comes_again_after_its_time_and_is_not_made_up_for():
    done: list[float] = []
    seldom = Seldom(lambda: done.append(0), first=5, every=20)
    now = time.monotonic()

    for later in (0, 6, 7, 25, 27, 300, 301, 321):
        seldom.look(now + later)

    assert len(done) == 4


@pytest.mark.django_db
def test_now_and_then_there_is_a_campaign(few_people: None):
    campaign = Traffic(per_second=1).campaign()

    assert (campaign.status, campaign.audience_size) == (CampaignStatus.SENDING, 50)
    assert names([campaign.source])[campaign.source].label == campaign.name


def test_the_tide_turns_about_the_rate_that_was_asked_for():
    levels = [tide(second) for second in range(0, 7200, 5)]

    assert 0.45 < min(levels) < 0.7
    assert 1.3 < max(levels) < 1.55
    assert abs(sum(levels) / len(levels) - 1) < 0.05


@pytest.mark.parametrize(("arguments", "traffic"), [([], None), (["--traffic"], "10"), (["--traffic", "2.5"], "2.5")])
def test_the_flag_is_a_rate_or_ten(arguments: list[str], traffic: str | None):
    assert _options(arguments).traffic == traffic


@pytest.mark.parametrize("text", ["0", "-1", "501", "nan", "lots"])
def test_a_rate_that_makes_no_sense_is_refused(text: str):
    with pytest.raises(ArgumentTypeError):
        traffic_rate(text)
    with pytest.raises(SystemExit):
        _options(["--traffic", text])
