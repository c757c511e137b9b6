"""What a plan says of a campaign is what the pipeline then does with it."""

from datetime import date, time, timedelta

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from campaigns.foresight import planned, when
from campaigns.models import Audience, Campaign, CampaignEvent, CampaignVariant, Schedule, Segment
from campaigns.services import planning
from core.statements import StatementTooSlow
from notifications.models import MessageTemplate
from preferences.services import PreferencesService
from tests import factories
from tests.campaigns.conftest import hand_out, make_campaign, start

pytestmark = pytest.mark.django_db


@pytest.fixture
def campaign() -> Campaign:
    """Ten people: one without an email, one who opted out of email, one whose email is suppressed."""
    factories.recipients(7, locale="en")
    factories.recipient("no-mail", email="")
    factories.preference(factories.recipient("no-thanks"), "email")
    factories.recipient("bounced", email="gone@example.com")
    PreferencesService().suppress("email", "gone@example.com", "manual")
    return make_campaign(channels=["email", "in_app"])


def channels(plan: planning.Plan) -> dict[str, tuple[int, dict[str, int]]]:
    return {one.channel: (one.reachable, one.skipped) for one in plan.channels}


def test_it_says_whom_each_channel_reaches_and_why_it_leaves_others_out(campaign):
    plan = planning.plan(campaign)

    assert (plan.people, plan.is_exact, plan.sampled) == (10, True, None)
    assert channels(plan) == {
        "email": (7, {"no_address": 1, "opted_out": 1, "suppressed": 1}),
        "in_app": (10, {}),
    }


def test_what_it_says_is_what_happens(campaign, provider):
    plan = planning.plan(campaign)

    started = start(campaign)
    hand_out(started)
    started.refresh_from_db()

    assert started.audience_size == plan.people
    assert started.queued == sum(one.reachable for one in plan.channels)
    assert started.skipped == sum(sum(one.skipped.values()) for one in plan.channels)


def test_a_channel_without_words_leaves_everybody_out(campaign):
    campaign.template = factories.template("texts", {"en": {"in_app": {"title": "Hi", "body": "There"}}})
    campaign.save()

    assert channels(planning.plan(campaign))["email"] == (0, {"no_words": 10})


def test_a_large_audience_is_looked_at_by_a_sample_that_is_said(campaign, monkeypatch):
    monkeypatch.setattr(planning, "SAMPLE", 5)
    monkeypatch.setattr(planning, "estimated_rows", lambda _: 0)  # whatever an ANALYZE of another test left behind

    plan = planning.plan(campaign)

    assert (plan.people, plan.is_exact, plan.sampled) == (10, True, 5)
    assert channels(plan)["in_app"] == (10, {})


def test_a_count_that_takes_too_long_becomes_an_estimate(campaign, monkeypatch):
    def too_slow(*_: object) -> int:
        raise StatementTooSlow

    monkeypatch.setattr(planning, "_counted", too_slow)

    assert planning.plan(campaign).is_exact is False


def test_its_time_is_that_of_the_throttle_or_of_earlier_campaigns(campaign, monkeypatch):
    assert planning.plan(campaign).minutes is None
    campaign.throttle_per_minute = 4
    assert planning.plan(campaign).minutes == 2.5
    campaign.throttle_per_minute = None
    monkeypatch.setattr(planning, "_ENOUGH", 1)
    earlier = start(make_campaign("Earlier", template=campaign.template))
    hand_out(earlier)
    began = timezone.now()
    Campaign.objects.filter(pk=earlier.pk).update(started_at=began, finished_at=began + timedelta(minutes=5))

    assert planning.plan(campaign).minutes == pytest.approx(5)


def test_it_says_in_words_what_is_missing_and_where(campaign):
    campaign.schedule = Schedule.LOCAL
    campaign.save()

    found = planned(campaign)["problems"]

    assert {(one["field"], one["step"], one["where"]) for one in found} == {
        ("local_date", "timing", "When and how fast"),
        ("local_time", "timing", "When and how fast"),
    }


def test_a_segment_that_names_something_that_is_gone_is_a_problem_and_no_error(campaign):
    definition = {"all": [{"field": "list", "op": "in", "value": 4711}]}
    campaign.audience = Audience.SEGMENT
    campaign.segment = Segment.objects.create(name="Lost", definition=definition)
    campaign.save()

    assert planned(campaign)["problems"][0]["field"] == "segment"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "as soon as somebody presses Send"),
        ({"schedule": "local", "local_date": date(2027, 3, 28), "local_time": time(9)}, "28 March 2027 at 09:00"),
        ({"schedule": "local"}, "still to be chosen"),
        (
            {"schedule": "recurring", "recurrence": "weekly", "recurs_on": [1, 3], "local_time": time(8, 30)},
            "every Monday and Wednesday at 08:30",
        ),
        (
            {"schedule": "recurring", "recurrence": "monthly", "recurs_on": [], "local_time": time(8, 30)},
            "no day is chosen",
        ),
    ],
)
def test_when_it_goes_out_is_a_sentence(campaign, fields, said):
    for name, value in fields.items():
        setattr(campaign, name, value)

    assert said in when(campaign)


class TestForm:
    """The plan of a form that was not saved."""

    @pytest.fixture
    def author(self) -> Client:
        user = User.objects.create_user("author", is_staff=True)
        user.groups.add(Group.objects.get(name="Campaign authors"))
        client = Client()
        client.force_login(user)
        return client

    def test_it_is_told_without_being_kept(self, author, campaign):
        fields = {"template": campaign.template_id, "category": campaign.category_id, "audience": "everyone"}
        address = reverse("campaign-draft-plan", args=[0])

        answer = author.post(address, {**fields, "throttle_per_minute": "5", "canary_percent": "1"}).json()

        assert answer["people"] == 10
        assert "about 32 minutes" in answer["pace"]
        assert "First 1% of the people" in answer["care"][0]
        assert Campaign.objects.count() == 1
        assert not CampaignEvent.objects.filter(action="created").exists()

    def test_of_a_draft_it_takes_what_stands_in_the_form(self, author, campaign):
        fields = {
            "template": campaign.template_id, "category": campaign.category_id, "audience": "list",
            "recipients": "person-1\nperson-2", "variant_a": campaign.template_id, "weight_a": "50",
        }  # fmt: skip

        answer = author.post(reverse("campaign-draft-plan", args=[campaign.pk]), fields).json()

        assert answer["people"] == 2
        assert not CampaignVariant.objects.exists()
        campaign.refresh_from_db()
        assert campaign.audience == Audience.EVERYONE

    def test_every_wording_is_shown_as_somebody_gets_it(self, author, campaign):
        other = factories.template("other", name="Other")
        fields = {
            "template": campaign.template_id, "category": campaign.category_id, "audience": "everyone",
            "data": '{"order": "A17"}', "weight_a": "40", "variant_b": other.pk, "weight_b": "60",
        }  # fmt: skip

        shown = author.post(reverse("campaign-draft-plan", args=[0]), fields).json()["preview"]

        assert shown["reader"] == "Ada Example"
        assert [f'data-label="{label}"' in shown["html"] for label in "ABC"] == [True, True, False]
        assert "for 60% of the people" in shown["html"]
        assert shown["html"].count("Order A17 is on its way") == 2

    @pytest.mark.parametrize(
        ("fields", "said"),
        [({}, "Choose a template and a category"), ({"throttle_per_minute": "fast"}, "people a minute")],
    )
    def test_what_is_wrong_is_said(self, author, campaign, fields, said):
        given = {"template": campaign.template_id, "category": campaign.category_id, "audience": "everyone"}

        answer = author.post(reverse("campaign-draft-plan", args=[campaign.pk]), {**given, **fields} if fields else {})

        assert said in answer.json()["errors"][0]

    def test_the_values_that_a_template_asks_for_are_told_before_the_rest_is_chosen(self, author, campaign):
        MessageTemplate.objects.update(variables={"order": "A-1"})
        other = factories.template("other")
        MessageTemplate.objects.filter(pk=other.pk).update(variables={"order": "B-2", "shop": "Rome"})
        fields = {"template": str(campaign.template_id), "variant_b": str(other.pk), "variant_c": "\N{SUPERSCRIPT TWO}"}

        answer = author.post(reverse("campaign-draft-plan", args=[0]), fields).json()

        assert answer["errors"]
        assert answer["values"] == [{"name": "order", "sample": "A-1"}, {"name": "shop", "sample": "Rome"}]

    def test_it_is_for_who_writes_campaigns(self, campaign):
        user = User.objects.create_user("viewer", is_staff=True)
        user.groups.add(Group.objects.get(name="Campaign viewers"))
        client = Client()
        client.force_login(user)

        assert client.post(reverse("campaign-draft-plan", args=[campaign.pk]), {}).status_code == 403
        assert client.get(reverse("campaign-plan", args=[campaign.pk])).json()["people"] == 10
