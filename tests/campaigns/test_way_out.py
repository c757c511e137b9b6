"""A marketing campaign by email has a link to unsubscribe in its words, or is not sent."""

import pytest
from django.contrib.auth.models import AnonymousUser

from campaigns.errors import NotReady
from campaigns.models import Campaign
from campaigns.preview import preview
from campaigns.services import CampaignService
from campaigns.services.readiness import problems
from tests import factories
from tests.campaigns.conftest import make_campaign

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
