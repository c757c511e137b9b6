"""A campaign that goes out again and again, each time as one of its own."""

from datetime import time, timedelta

import pytest
from django.utils import timezone

from campaigns.models import Action, Campaign, CampaignEvent, CampaignStatus
from campaigns.runner import Runner
from campaigns.segments.models import Segment
from campaigns.services import AudienceService, CampaignService, DraftService
from notifications.models import Notification
from tests import factories
from tests.campaigns.conftest import make_campaign

pytestmark = pytest.mark.django_db

S = CampaignStatus


def daily(**fields) -> Campaign:
    campaign = make_campaign(schedule="recurring", recurrence="daily", local_time=time(9), **fields)
    return CampaignService().send(campaign.pk)


def come(campaign: Campaign, *, ago: timedelta = timedelta(minutes=1)) -> None:
    """Its moment has come; the runner does what there is to do."""
    Campaign.objects.filter(pk=campaign.pk).update(starts_at=timezone.now() - ago)
    runner = Runner()
    while runner.round():
        pass


def test_each_occurrence_is_a_campaign_of_its_own_to_the_people_there_are_then():
    factories.recipients(3)
    parent = daily()
    come(parent)
    factories.recipients(2, prefix="new")
    come(parent)

    first, second = parent.occurrences.order_by("id")
    assert (first.status, first.accepted, second.accepted) == (S.COMPLETED, 3, 5)
    assert Notification.objects.count() == 8
    assert first.template_version_id == parent.template_version_id is not None
    parent.refresh_from_db()
    assert (parent.status, parent.started_at) == (S.SCHEDULED, None)
    assert timedelta(0) < parent.starts_at - timezone.now() <= timedelta(days=1)
    told = CampaignEvent.objects.filter(campaign=parent, action=Action.OCCURRED).order_by("id")
    assert [event.detail["campaign"] for event in told] == [first.pk, second.pk]


def test_what_was_missed_is_made_up_for_once():
    factories.recipients(1)
    parent = daily()

    come(parent, ago=timedelta(days=3))

    assert parent.occurrences.count() == 1


def test_nobody_in_the_audience_ends_an_occurrence_and_not_the_rest():
    people = factories.recipients(1)
    parent = daily(to=people)
    people[0].delete()

    come(parent)

    assert parent.occurrences.get().status == S.COMPLETED
    parent.refresh_from_db()
    assert parent.status == S.SCHEDULED


def test_after_the_last_it_is_completed():
    factories.recipients(1)
    parent = daily(recurs_until=timezone.now().date() + timedelta(days=1))
    Campaign.objects.filter(pk=parent.pk).update(status=S.DRAFT)
    Campaign.objects.filter(pk=parent.pk).update(recurs_until=timezone.now().date() - timedelta(days=2))
    Campaign.objects.filter(pk=parent.pk).update(status=S.IN_REVIEW)
    CampaignService().approve(parent.pk)
    Campaign.objects.filter(pk=parent.pk).update(status=S.SCHEDULED)

    come(parent)

    parent.refresh_from_db()
    assert (parent.status, parent.starts_at) == (S.COMPLETED, None)
    assert parent.occurrences.count() == 1


def test_a_change_after_the_approval_stops_it_and_asks_for_a_review():
    people = factories.recipients(2)
    parent = daily(to=people[:1])
    AudienceService().keep(parent, [person.pk for person in people])

    come(parent)

    parent.refresh_from_db()
    assert (parent.status, parent.occurrences.count()) == (S.IN_REVIEW, 0)


@pytest.mark.parametrize("schedule", ["recurring", "at"])
def test_one_whose_segment_means_nothing_any_more_goes_back_to_review_and_says_why(schedule):
    factories.recipients(2)
    draft = make_campaign("Never sent", template=factories.template("other"))
    missed = {"all": [{"field": "opened", "op": "not_within_days", "value": {"days": 9, "campaign": draft.pk}}]}
    segment = Segment.objects.create(name="Did not open", definition=missed)
    if schedule == "recurring":
        campaign = daily(audience="segment", segment=segment)
    else:
        later = timezone.now() + timedelta(hours=1)
        made = make_campaign(audience="segment", segment=segment, schedule="at", send_at=later)
        campaign = CampaignService().send(made.pk)
    DraftService().delete(draft.pk)

    come(campaign)

    campaign.refresh_from_db()
    assert (campaign.status, campaign.occurrences.count()) == (S.IN_REVIEW, 0)
    assert "has to be put right first" in campaign.review_note


def test_a_cancelled_one_occurs_no_more():
    factories.recipients(1)
    parent = daily()
    CampaignService().cancel(parent.pk)

    come(parent)

    assert parent.occurrences.count() == 0


def test_two_runners_make_one_occurrence():
    factories.recipients(1)
    parent = daily()
    Campaign.objects.filter(pk=parent.pk).update(starts_at=timezone.now() - timedelta(minutes=1))

    due = [runner._at_work() for runner in (Runner(), Runner())]
    for works in due:
        for work in works:
            Runner()._step(work)

    assert parent.occurrences.count() == 1
