"""A category, a template and campaigns on them; a worker step for what they put into the outbox."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.utils import timezone

from campaigns.models import Audience, Campaign, CampaignVariant, VariantReading
from campaigns.services import AudienceService, CampaignService, FanOut
from notifications.choices import EventType
from notifications.messaging.base import WorkMessage
from notifications.models import Delivery, Notification, OutboxMessage
from notifications.services.claims import ProviderReceipt
from notifications.services.tracking import DeliveryTracker
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


def with_wordings(campaign: Campaign, **weights: int) -> Campaign:
    """Try a template of its own for each label: `with_wordings(campaign, A=40, B=60)`."""
    for label, weight in weights.items():
        template = factories.template(f"variant-{label.lower()}", name=f"Wording {label}")
        CampaignVariant.objects.create(campaign=campaign, label=label, template=template, weight=weight)
    return campaign


def start(campaign: Campaign) -> Campaign:
    return CampaignService().send(campaign.pk)


def fresh(campaign: Campaign) -> Campaign:
    return Campaign.objects.get(pk=campaign.pk)


def hold_over(campaign: Campaign) -> None:
    """Turn the clock: the wait of this phase has ended."""
    Campaign.objects.filter(pk=campaign.pk).update(held_until=timezone.now() - timedelta(hours=1))


def rest_over(campaign: Campaign) -> None:
    """Turn the clock: the last reading of the variants is long ago."""
    VariantReading.objects.filter(pk=campaign.pk).update(at=F("at") - timedelta(hours=1))


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


def receipts(campaign: Campaign, label: str, event: EventType, people: int | None = None) -> None:
    """So many people of a variant did that, by email."""
    version = campaign.variants.get(label=label).template_version_id
    theirs = Notification.objects.filter(source=campaign.source, template_version_id=version).values("id")
    emails = Delivery.objects.filter(notification_id__in=theirs, channel="email", status__in=["sent", "delivered"])
    ids = list(emails.values_list("id", flat=True)[:people])
    DeliveryTracker().receipts([ProviderReceipt(id, event, "fake") for id in ids])


@pytest.fixture
def provider(settings: Any) -> FakeProvider:
    return use_provider(settings, FakeProvider("fake"))
