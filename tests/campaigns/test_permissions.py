"""Every step of every state for every role: what the page offers, what the admin lets pass and what the API lets pass
is the same, and is this table."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from campaigns.models import Campaign, CampaignEvent, CampaignStatus
from campaigns.services import CampaignService
from notifications.models.api_key import KeyMode
from tests import factories
from tests.api import Api
from tests.campaigns.conftest import make_campaign

pytestmark = pytest.mark.django_db

S = CampaignStatus
#: Steps by the word in their address, and what goes with them in the admin and in the API.
STEPS: dict[str, tuple[dict[str, str], Any]] = {
    "submit": ({}, None),
    "approve": ({}, None),
    "send-back": ({"note": "Too loud."}, {"note": "Too loud."}),
    "reopen": ({}, None),
    "launch": ({}, {}),
    "pause": ({}, None),
    "resume": ({}, None),
    "cancel": ({}, None),
    "duplicate": ({}, None),
    "archive": ({}, None),
    "unarchive": ({}, None),
}
_WRITES = {
    S.DRAFT: {"submit", "archive", "duplicate"},
    S.IN_REVIEW: {"reopen", "duplicate"},
    S.APPROVED: {"reopen", "duplicate"},
    S.SCHEDULED: {"reopen", "duplicate"},
    S.SENDING: {"duplicate"},
    S.PAUSED: {"duplicate"},
    S.COMPLETED: {"archive", "duplicate"},
    S.CANCELLED: {"archive", "duplicate"},
}
#: Role -> state -> steps. The audience is small, so an author may approve their own.
MATRIX: dict[str, dict[CampaignStatus, set[str]]] = {
    "its author": {**_WRITES, S.IN_REVIEW: {"reopen", "duplicate", "approve"}},
    "another author": _WRITES,
    "approver": {S.IN_REVIEW: {"approve", "send-back"}},
    "operator": {
        S.APPROVED: {"launch"},
        S.SCHEDULED: {"cancel"},
        S.SENDING: {"pause", "cancel"},
        S.PAUSED: {"resume", "cancel"},
        S.COMPLETED: {"pause", "cancel"},
    },
    "viewer": {},
    "nobody": {},
}
GROUPS = {"its author": "authors", "another author": "authors", "approver": "approvers", "operator": "operators",
          "viewer": "viewers"}  # fmt: skip

CASES = [(role, state) for role in MATRIX for state in CampaignStatus]


def member(role: str) -> User:
    user = User.objects.create_user(role, is_staff=True)
    user.groups.set(Group.objects.filter(name=f"Campaign {GROUPS.get(role, '-')}"))
    return user


def put(campaign: Campaign, state: str, author: User | None) -> Campaign:
    """By force into a state, as one that got there has it."""
    CampaignService().submit(campaign.pk)
    CampaignService().approve(campaign.pk)
    before = (S.DRAFT, S.IN_REVIEW, S.APPROVED, S.SCHEDULED)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # what waits for the transaction's end would forbid the next
        cursor.execute("ALTER TABLE campaigns_campaign DISABLE TRIGGER campaign_guard")
        Campaign.objects.filter(pk=campaign.pk).update(
            status=state,
            started_at=None if state in before else timezone.now(),
            starts_at=timezone.now() + timedelta(days=1) if state == S.SCHEDULED else None,
            created_by=author,
        )
        cursor.execute("ALTER TABLE campaigns_campaign ENABLE TRIGGER campaign_guard")
    campaign.refresh_from_db()
    return campaign


def passed(campaign: Campaign, press: Callable[[], int]) -> bool:
    """Whether a step was taken: told in the trail. What it did is taken back."""
    trail = CampaignEvent.objects.count()
    with transaction.atomic():
        status = press()
        told = CampaignEvent.objects.count() > trail
        transaction.set_rollback(True)
    assert status < 500
    return told


@pytest.fixture
def campaign() -> Campaign:
    factories.recipients(2)
    return make_campaign()


@pytest.mark.parametrize(("role", "state"), CASES)
def test_a_role_takes_its_own_steps_and_no_others(campaign, role, state):
    user = member(role)
    put(campaign, state, user if role == "its author" else None)
    wanted = MATRIX[role].get(state, set())
    client = Client()
    client.force_login(user)
    api = Api(owner=user)

    def by_button(name: str) -> Callable[[], int]:
        address = reverse(f"campaign-{name}", args=[campaign.pk])
        return lambda: client.post(address, STEPS[name][0]).status_code

    def by_call(name: str) -> Callable[[], int]:
        return lambda: api.post(f"campaigns/{campaign.pk}/{name}/", STEPS[name][1]).status_code

    page = client.get(reverse("admin:campaigns_campaign_change", args=[campaign.pk]))
    if state == S.DRAFT and "submit" in wanted:  # whose page is the form; its buttons stand on the check
        page = client.get(reverse("campaign-check", args=[campaign.pk]))
    assert page.status_code == (403 if role == "nobody" else 200)
    if role != "nobody":
        assert {one.name for one in page.context["buttons"]} == wanted
    assert {name for name in STEPS if passed(campaign, by_button(name))} == wanted
    if wanted or state in (S.DRAFT, S.SENDING):  # who may do nothing need not be refused in every state
        assert {name for name in STEPS if passed(campaign, by_call(name))} == wanted
    campaign.refresh_from_db()
    assert campaign.status == state


def test_a_large_audience_is_approved_by_somebody_else(campaign, settings):
    settings.CAMPAIGN_REVIEW_ABOVE = 1
    author, approver = member("its author"), member("approver")
    author.groups.add(Group.objects.get(name="Campaign approvers"))
    put(campaign, S.IN_REVIEW, author)

    own, other = Api(owner=author), Api(owner=approver)

    refused = own.post(f"campaigns/{campaign.pk}/approve/")
    assert (refused.status_code, "did not write it" in refused.json()["detail"]) == (403, True)
    client = Client()
    client.force_login(author)
    html = client.get(reverse("campaign-check", args=[campaign.pk])).content.decode()
    assert "somebody who did not write it must approve it" in html
    assert other.post(f"campaigns/{campaign.pk}/approve/").json()["approved_by"] == "approver"


@pytest.mark.parametrize(
    ("key", "word"),
    [({}, "belongs to nobody"), ({"mode": KeyMode.TEST}, "test key"), ({"scopes": ["campaigns:read"]}, "scope")],
)
def test_a_key_that_stands_for_nobody_sends_nothing(campaign, key, word):
    put(campaign, S.APPROVED, None)

    answer = Api(**key).post(f"campaigns/{campaign.pk}/launch/", {})

    assert answer.status_code == 403
    assert word in answer.json()["detail"]
    assert Campaign.objects.get().status == S.APPROVED


def test_a_key_ends_with_its_owner_s_account(campaign):
    owner = member("operator")
    put(campaign, S.APPROVED, None)
    api = Api(owner=owner)
    User.objects.filter(pk=owner.pk).update(is_active=False)

    assert api.post(f"campaigns/{campaign.pk}/launch/", {}).status_code == 403


def test_the_home_page_of_a_role_shows_what_it_may_open():
    for role, shown, hidden in [
        ("operator", ["Campaigns", "Segments"], ["API keys", "Outbox", "Users"]),
        ("its author", ["Campaigns", "Templates"], ["API keys", "Dead letters", "Users"]),
    ]:
        client = Client()
        client.force_login(member(role))
        html = client.get(reverse("admin:index")).content.decode()
        assert all(f"<strong>{word}</strong>" in html for word in shown if word != "Segments")
        assert not any(f"<strong>{word}</strong>" in html for word in hidden)
