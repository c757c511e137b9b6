"""A category, a template and campaigns on them; a worker step for what they put into the outbox."""

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from campaigns.models import Audience, Campaign
from campaigns.services import AudienceService, CampaignService, FanOut
from notifications.messaging.base import WorkMessage
from notifications.models import OutboxMessage
from notifications.worker import Worker
from preferences.models import Recipient
from tests import factories
from tests.notifications.fakes import FakeProvider, use_provider

CHANNELS = ["email", "in_app"]
Make = Callable[..., Campaign]


def make_campaign(name: str = "Sale", to: list[Recipient] | None = None, **fields: Any) -> Campaign:
    """A draft to everyone, or to a list of people."""
    audience = Audience.EVERYONE if to is None else Audience.LIST
    category = factories.category("news", channels=CHANNELS, default_priority="low")
    template = fields.pop("template", None) or factories.template("sale")
    fields = {"audience": audience, **fields}
    made = Campaign.objects.create(name=name, template=template, category=category, **fields)
    AudienceService().keep(made, [person.pk for person in to or []])
    return made


def start(campaign: Campaign) -> Campaign:
    return CampaignService().send(campaign.pk)


def hand_out(campaign: Campaign, *, steps: int = 1000) -> int:
    """Steps until nothing is left to do; the number of people handed out."""
    handed = 0
    for _ in range(steps):
        done = FanOut(campaign.pk).step()
        handed += done
        if not done:
            break
    return handed


def work() -> None:
    """Hand every due outbox row to a worker, once."""
    rows = list(OutboxMessage.objects.filter(due_at__lte=timezone.now()).order_by("id"))
    OutboxMessage.objects.filter(id__in=[row.id for row in rows]).delete()
    for row in rows:
        Worker().process(WorkMessage.of(row.channel, row.priority, row.delivery_ids))


@pytest.fixture
def provider(settings: Any) -> FakeProvider:
    return use_provider(settings, FakeProvider("fake"))
