"""What runs, and how the variants stand: told in words, and read from the record no more often than it has to be."""

from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone

from campaigns import history, selectors, standing, variants
from campaigns.models import Action, Campaign, CampaignEvent, CampaignStatus, CampaignVariant, VariantReading
from campaigns.services import CampaignService, choose_winner
from notifications.choices import EventType
from notifications.models import Notification
from tests import factories
from tests.campaigns.conftest import (
    fresh,
    hand_out,
    hold_over,
    make_campaign,
    receipts,
    rest_over,
    start,
    with_wordings,
    work,
)

pytestmark = pytest.mark.django_db


def trial(**fields) -> Campaign:
    """A started campaign that tries two wordings on half of a hundred people."""
    factories.recipients(100)
    return start(with_wordings(make_campaign(**{"test_percent": 50, "winner_metric": "clicked", **fields}), A=40, B=60))


class TestVariants:
    def test_each_is_told_with_its_people_and_the_rate_it_is_judged_by(self, provider):
        campaign = trial()
        hand_out(campaign)
        work()
        receipts(campaign, "A", EventType.DELIVERED)
        receipts(campaign, "A", EventType.CLICKED, 3)

        shown = standing.as_figures(fresh(campaign))

        a, b = shown["variants"]
        handed = Notification.objects.filter(source=campaign.source).count()
        assert (a["label"], a["template"], b["label"]) == ("A", "Wording A", "B")
        assert a["recipients"] + b["recipients"] == handed
        assert (a["people"], a["delivered"], a["clicked"], b["clicked"]) == (a["recipients"], a["people"], 3, 0)
        assert a["rate"] == 3 / a["people"]
        assert (shown["metric"], shown["leader"]) == ("clicked", "A")

    def test_people_who_were_sent_nothing_are_recipients_all_the_same(self):
        campaign = trial()
        hand_out(campaign)

        found = standing.standing(fresh(campaign)).rows

        assert all(one.recipients and not one.people for one in found)

    def test_the_record_is_read_once_in_a_while_and_only_when_a_counter_moved(self, provider, monkeypatch):
        campaign = trial()
        hand_out(campaign)
        work()
        read: list[int] = []
        monkeypatch.setattr(standing, "figures", lambda of: read.append(1) or variants.figures(of))

        standing.standing(fresh(campaign))
        receipts(campaign, "B", EventType.CLICKED, 2)
        assert standing.standing(fresh(campaign)).leader == ""
        assert len(read) == 1

        rest_over(campaign)
        assert standing.standing(fresh(campaign)).leader == "B"
        assert len(read) == 2

        rest_over(campaign)
        standing.standing(fresh(campaign))
        assert len(read) == 2

    def test_what_took_long_rests_long(self, provider):
        campaign = trial()
        hand_out(campaign)
        standing.standing(fresh(campaign))
        work()
        VariantReading.objects.update(at=F("at") - timedelta(seconds=90), took_ms=5_000)

        assert standing.standing(fresh(campaign)).rows[0].people == 0
        VariantReading.objects.update(at=F("at") - timedelta(seconds=15))
        assert standing.standing(fresh(campaign)).rows[0].people > 0

    def test_what_takes_too_long_is_given_up_and_the_last_figures_stay(self, provider, monkeypatch):
        campaign = trial()
        hand_out(campaign)
        work()
        before = standing.standing(fresh(campaign)).rows
        receipts(campaign, "A", EventType.CLICKED)
        rest_over(campaign)
        monkeypatch.setattr(standing, "LONGEST_MS", 1)
        monkeypatch.setattr(variants, "_SQL", "SELECT pg_sleep(1), 1 WHERE %(source)s <> ''")

        after = standing.standing(fresh(campaign))

        assert after.rows == before
        assert VariantReading.objects.get().at > timezone.now() - timedelta(minutes=1)

    def test_a_lead_of_a_few_may_be_chance(self):
        a, b = CampaignVariant(label="A"), CampaignVariant(label="B")

        def is_certain(first: int, second: int, people: int) -> bool:
            of = [variants.VariantFigures(a, people, clicked=first), variants.VariantFigures(b, people, clicked=second)]
            return variants.is_certain(of, "clicked")

        assert not is_certain(12, 10, 100)
        assert is_certain(1_200, 1_000, 10_000)
        assert not is_certain(0, 0, 100)
        assert not is_certain(0, 0, 0)


class TestPhase:
    def text(self, campaign: Campaign) -> str:
        return selectors.snapshot(fresh(campaign))["phase"]["text"]

    def test_a_campaign_to_everybody_at_once_has_none(self):
        factories.recipients(3)

        assert selectors.snapshot(start(make_campaign()))["phase"] is None

    def test_the_first_few_are_told_with_their_bound_and_how_they_do(self, provider):
        factories.recipients(100)
        campaign = start(make_campaign(canary_percent=20, canary_minutes=90, canary_max_failures=5))
        assert "waits 90 minutes, and goes on if at most 5%" in self.text(campaign)

        hand_out(campaign)
        work()
        shown = selectors.snapshot(fresh(campaign))["phase"]

        assert [(step["key"], step["state"]) for step in shown["steps"]] == [("canary", "now"), ("rest", "next")]
        assert "It goes on by itself at" in shown["text"]
        assert "0.0% of" in shown["text"]
        assert shown["until"] == fresh(campaign).held_until.isoformat()

        hold_over(campaign)
        hand_out(campaign)
        assert [step["state"] for step in selectors.snapshot(fresh(campaign))["phase"]["steps"]] == ["done", "done"]

    def test_a_winner_is_told_with_the_figures_it_was_chosen_by(self, provider):
        campaign = trial()
        hand_out(campaign)
        work()
        assert "goes to everybody else" in self.text(campaign)
        receipts(campaign, "B", EventType.CLICKED)
        hold_over(campaign)
        hand_out(campaign)

        told = self.text(campaign)

        assert told.startswith("The test chose B, “Wording B”")
        assert "Clicked by then: B 100.0% of" in told
        assert [one["winner"] for one in standing.as_figures(fresh(campaign))["variants"]] == [False, True]
        winner = history.said(CampaignEvent.objects.get(action=Action.WINNER))
        assert winner.startswith("wording B · A: ")
        phases = [history.said(event) for event in CampaignEvent.objects.filter(action=Action.PHASE).order_by("id")]
        assert phases[-1] == "Test of the variants → Everybody else"

    def test_a_person_who_chose_is_named(self, provider, django_user_model):
        campaign = trial(winner_metric="none")
        hand_out(campaign)
        hold_over(campaign)
        hand_out(campaign)
        assert fresh(campaign).status == CampaignStatus.PAUSED
        assert "Choose a wording below" in self.text(campaign)

        choose_winner(campaign.pk, "A", by=django_user_model.objects.create_superuser("mary"))
        CampaignService().resume(campaign.pk)

        assert self.text(campaign).startswith("mary chose A")
