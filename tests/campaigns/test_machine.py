"""The life cycle as a machine: any steps in any order, by anybody, and the campaign is where the map says."""

import hypothesis.strategies as st
import pytest
from django.contrib.auth.models import Group, User
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from campaigns.choices import LEGAL
from campaigns.errors import NotAllowed, NotReady, WrongState
from campaigns.models import Campaign, CampaignEvent, CampaignStatus
from campaigns.services import AudienceService, CampaignService, FanOut
from notifications.models import Notification, SourceHold
from tests import factories
from tests.campaigns.conftest import make_campaign

pytestmark = pytest.mark.django_db

S = CampaignStatus
REFUSALS = (NotAllowed, NotReady, WrongState)
#: What each step needs, where it leads, and from where.
STEPS = {
    "submit": ("authors", {S.DRAFT: S.IN_REVIEW}),
    "approve": ("approvers", {S.IN_REVIEW: S.APPROVED}),
    "reopen": ("authors", {S.IN_REVIEW: S.DRAFT, S.APPROVED: S.DRAFT, S.SCHEDULED: S.DRAFT}),
    "schedule_or_start": ("operators", {S.APPROVED: S.SENDING}),
    "pause": ("operators", {S.SENDING: S.PAUSED, S.COMPLETED: S.PAUSED}),
    "resume": ("operators", {S.PAUSED: S.SENDING}),
    "cancel": (
        "operators",
        dict.fromkeys((S.SCHEDULED, S.SENDING, S.PAUSED, S.COMPLETED), S.CANCELLED),
    ),
}
WHO = ("authors", "approvers", "operators", "viewers", None)


class Life(RuleBasedStateMachine):
    """One campaign to ten people, chunks of three."""

    def __init__(self) -> None:
        super().__init__()
        self.savepoint = transaction.atomic()
        self.savepoint.__enter__()
        self.people = factories.recipients(10)
        self.campaign = make_campaign(to=self.people)
        self.status = S.DRAFT
        self.members = {}
        for group in WHO[:-1]:
            self.members[group] = User.objects.create_user(group)
            self.members[group].groups.set(Group.objects.filter(name=f"Campaign {group}"))
        self.events = 0
        self.tampered = False

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.savepoint.__exit__(None, None, None)

    @rule(step=st.sampled_from(sorted(STEPS)), who=st.sampled_from(WHO))
    def step(self, step: str, who: str | None) -> None:
        needed, moves = STEPS[step]
        submitter = Campaign.objects.get(pk=self.campaign.pk).submitted_by
        own = step == "approve" and who == "authors" and submitter == self.members["authors"]
        allowed = who is None or who == needed or own
        to = moves.get(self.status)
        if step == "schedule_or_start" and self.tampered:
            to = None
        try:
            getattr(CampaignService(), step)(self.campaign.pk, by=self.members.get(who))
        except REFUSALS:
            assert not (allowed and to)
            if step == "schedule_or_start" and allowed and self.status == S.APPROVED:
                self.status = S.IN_REVIEW
                self.events += 1
        else:
            assert allowed
            assert to
            self.status = to
            self.events += 1
            if step == "approve":
                self.tampered = False

    @precondition(lambda self: self.status == S.APPROVED)
    @rule()
    def somebody_changes_the_list_behind_the_approval(self) -> None:
        AudienceService().keep(self.campaign, [person.pk for person in self.people[:7]])
        approved = Campaign.objects.get(pk=self.campaign.pk).approved_hash
        from campaigns.services.fingerprint import fingerprint

        self.tampered = approved != fingerprint(Campaign.objects.get(pk=self.campaign.pk))

    @rule(chunks=st.integers(1, 5))
    def the_runner_works(self, chunks: int) -> None:
        for _ in range(chunks):
            FanOut(self.campaign.pk).step()
        if Campaign.objects.get(pk=self.campaign.pk).status == S.COMPLETED and self.status == S.SENDING:
            self.status = S.COMPLETED
            self.events += 1

    @invariant()
    def it_is_where_the_map_says(self) -> None:
        campaign = Campaign.objects.get(pk=self.campaign.pk)
        assert campaign.status == self.status
        assert CampaignEvent.objects.filter(campaign=campaign).count() == self.events

    @invariant()
    def nobody_has_two_and_nothing_goes_out_before_the_start(self) -> None:
        had = list(Notification.objects.values_list("recipient_id", flat=True))
        assert len(had) == len(set(had))
        if self.status in (S.DRAFT, S.IN_REVIEW, S.APPROVED, S.SCHEDULED):
            assert had == []

    @invariant()
    def what_is_stopped_is_held(self) -> None:
        is_held = SourceHold.objects.filter(source=self.campaign.source).exists()
        assert is_held == (self.status in (S.PAUSED, S.CANCELLED))


def test_any_order_of_steps(settings_chunk):
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


@pytest.fixture
def settings_chunk(settings):
    settings.CAMPAIGN_CHUNK = 3


def test_the_map_of_the_machine_is_the_one_the_database_keeps():
    moves = {(since, to) for _, (_, ways) in STEPS.items() for since, to in ways.items()}

    assert all(to in LEGAL[since] for since, to in moves)
