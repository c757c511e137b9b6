"""A replay sends nothing that was stopped meanwhile: it goes through the claim as everything else does."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.utils import timezone

from notifications.choices import SkipReason, Status
from notifications.drafts import Draft
from notifications.errors import AlreadyLeft
from notifications.models import DeadLetter, Delivery, HoldKind, Notification, OutboxMessage
from notifications.models.dead_letter import DeadCause
from notifications.services import replays
from notifications.services.holds import hold, holds, release
from notifications.services.notification import NotificationService
from notifications.services.tracking import DeliveryTracker
from tests import factories
from tests.notifications.fakes import FakeProvider, use_provider
from tests.notifications.strategies.harness import work

pytestmark = pytest.mark.django_db
SOURCE = "campaign:7"


@pytest.fixture
def provider(settings: Any) -> FakeProvider:
    return use_provider(settings, FakeProvider("fake"))


@pytest.fixture
def dead() -> Delivery:
    """A campaign's message that was given up."""
    factories.recipient("ann")
    factories.category("news", channels=["email"])
    draft = Draft(recipient="ann", category="news", content={"title": "Sale", "body": "Today"})
    NotificationService().send([draft], source=SOURCE)
    OutboxMessage.objects.all().delete()
    one = Delivery.objects.get()
    DeliveryTracker().bury([one.pk.bytes], cause=DeadCause.POISON, detail="")
    holds.forget()
    return one


def put_back() -> None:
    ids = list(DeadLetter.objects.values_list("id", flat=True))
    assert replays.at_once(ids, by="grace", via="admin").replayed == 1
    work()


def test_what_nobody_stopped_is_sent(dead: Delivery, provider: FakeProvider) -> None:
    put_back()

    assert len(provider.calls) == 1


def test_a_notification_that_was_cancelled_when_it_was_dead_already(dead: Delivery, provider: FakeProvider) -> None:
    with pytest.raises(AlreadyLeft):
        NotificationService().cancel(dead.notification_id)

    put_back()

    dead.refresh_from_db()
    assert provider.calls == []
    assert (dead.status, dead.skip_reason) == (Status.SKIPPED, SkipReason.CANCELLED)


def test_a_cancelled_campaign_whose_withdrawal_is_over(dead: Delivery, provider: FakeProvider) -> None:
    hold(SOURCE, HoldKind.CANCELLED)
    stopped, _ = DeliveryTracker().cancel_range(SOURCE, UUID(int=0), UUID(int=(1 << 128) - 1))
    release(SOURCE)  # as the end of the withdrawal does
    holds.forget()

    put_back()

    dead.refresh_from_db()
    assert (stopped, provider.calls) == (0, [])
    assert (dead.status, dead.skip_reason) == (Status.SKIPPED, SkipReason.CANCELLED)


def test_a_paused_campaign_until_it_goes_on(dead: Delivery, provider: FakeProvider) -> None:
    hold(SOURCE, HoldKind.HELD)

    put_back()

    assert provider.calls == []
    release(SOURCE)
    holds.forget()
    work()
    assert len(provider.calls) == 1


def test_what_has_expired(dead: Delivery, provider: FakeProvider) -> None:
    Notification.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    put_back()

    dead.refresh_from_db()
    assert provider.calls == []
    assert dead.skip_reason == SkipReason.EXPIRED
