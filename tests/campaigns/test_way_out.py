"""A marketing campaign by email has a link to unsubscribe in its words, or is not sent; and whoever follows it gets no
further one."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.test import Client

from campaigns import people
from campaigns.errors import NotReady
from campaigns.models import Campaign
from campaigns.people import Wanted
from campaigns.preview import preview
from campaigns.services import CampaignService
from campaigns.services.readiness import problems
from notifications.drafts import Draft
from notifications.explain.dry_run import explain
from notifications.models import MessageTemplate
from preferences.models import MarketingStop, Preference
from preferences.services import PreferenceChange, PreferencesService
from tests import factories
from tests.campaigns.conftest import hand_out, make_campaign, start, work
from tests.notifications.fakes import FakeProvider

pytestmark = pytest.mark.django_db

WITH = {"en": {"email": {"subject": "Sale", "text": "Out: {{ unsubscribe_url }}"}, "in_app": {"title": "Sale"}}}
WITHOUT = {"en": {"email": {"subject": "Sale", "text": "Come in"}, "in_app": {"title": "Sale"}}}


def marketing(content: dict[str, object], **fields: object) -> Campaign:
    campaign = make_campaign(template=factories.template("offer", content), **fields)
    campaign.category.purpose = "marketing"
    campaign.category.save()
    return campaign


def test_without_the_link_it_is_not_sent_whatever_its_template_says_it_is_for() -> None:
    factories.recipients(2)
    campaign = marketing(WITHOUT)

    assert [field for field, _ in problems(campaign)] == ["template"]
    with pytest.raises(NotReady, match="no link to unsubscribe"):
        CampaignService().submit(campaign.pk, by=None)


def test_with_it_or_without_email_it_is() -> None:
    assert problems(marketing(WITH)) == []
    assert problems(make_campaign(template=factories.template("other", WITHOUT), channels=["in_app"])) == []


def test_the_preview_shows_a_link_and_misses_nothing() -> None:
    shown = preview(marketing(WITH), AnonymousUser()).wordings[0]

    assert shown.lacking == []
    assert "/u/sample/" in shown.messages[0]["body"]


def sent(name: str, provider: FakeProvider) -> tuple[Campaign, dict[str, Any]]:
    """A campaign to everyone by email that is through, and its messages by whom they went to."""
    provider.calls.clear()
    campaign = make_campaign(name, template=MessageTemplate.objects.get(slug="offer"), channels=["email"])
    start(campaign)
    hand_out(campaign)
    work()
    return campaign, {message.address.partition("@")[0]: message for message in provider.calls}


def skipped(campaign: Campaign) -> list[tuple[str, str]]:
    """Whom the campaign's people list shows as skipped, and why."""
    campaign.refresh_from_db()
    page = people.page(campaign, Wanted(outcome="skipped"), None)
    return [(one.recipient.external_id, one.delivery.skip_reason) for one in page.people if one.recipient]


@pytest.mark.parametrize("asks_for_all", [False, True])
def test_who_follows_the_link_is_left_out_of_the_next_one_and_nobody_else(
    provider: FakeProvider, asks_for_all: bool
) -> None:
    factories.recipients(3)
    factories.category("news", channels=["email"], purpose="marketing")
    factories.template("offer", WITH, purpose="marketing")
    _, messages = sent("First", provider)
    assert len(messages) == 3
    header = dict(messages["person-1"].headers)["List-Unsubscribe"]
    path = re.sub(r"^https?://[^/]+", "", header.strip("<>"))
    scanner = Client()
    for look in (scanner.get, scanner.head, scanner.get):
        assert look(path).status_code == 200
    assert not Preference.objects.exists()
    assert not MarketingStop.objects.exists()

    mail_program = Client(enforce_csrf_checks=True)
    body = {"what": "marketing"} if asks_for_all else {"List-Unsubscribe": "One-Click"}
    for _ in range(2):
        assert mail_program.post(path, body).status_code == 200

    second, messages = sent("Second", provider)
    assert set(messages) == {"person-0", "person-2"}
    assert skipped(second) == [("person-1", "opted_out")]
    draft = Draft(recipient="person-1", category="news", template="offer", channels=["email"])
    said = str(explain(draft, source="api:test"))
    assert ("no to all marketing by Email" if asks_for_all else "said no to News by Email") in said
    factories.category("later", channels=["email"], purpose="marketing")
    reach = PreferencesService().reach(["person-1"])["person-1"]
    later = PreferencesService().categories(["later"])["later"]
    assert reach.allows("email", later.id, False, later.is_marketing) is not asks_for_all


def test_a_no_after_acceptance_is_honoured_at_the_claim(provider: FakeProvider) -> None:
    factories.recipients(2)
    factories.category("news", channels=["email"], purpose="marketing")
    factories.template("offer", WITH, purpose="marketing")
    campaign = make_campaign(template=MessageTemplate.objects.get(slug="offer"), channels=["email"])
    start(campaign)
    hand_out(campaign)

    change = PreferenceChange(None, "email", False, marketing=True)
    PreferencesService().set_preferences("person-0", [change])
    work()

    assert [message.address for message in provider.calls] == ["person-1@example.com"]
    assert skipped(campaign) == [("person-0", "opted_out")]


@pytest.mark.parametrize("reason", ["hard_bounce", "complaint"])
def test_a_bounce_or_complaint_after_acceptance_is_honoured_by_a_campaign(provider: FakeProvider, reason: str) -> None:
    factories.recipients(2)
    campaign = make_campaign(template=factories.template("offer", WITHOUT), channels=["email"])
    start(campaign)
    hand_out(campaign)

    PreferencesService().suppress("email", "person-0@example.com", reason)
    work()

    assert skipped(campaign) == [("person-0", "suppressed")]
    assert len(provider.calls) == 1
