"""Digests beside quiet hours and caps: each holds as if alone, and a critical message waits for none."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from notifications.choices import Priority, SkipReason, Status
from notifications.digests import closing
from notifications.drafts import Draft
from notifications.models import Delivery, Digest, DigestState, Notification, OutboxMessage
from notifications.services.notification import NotificationService
from tests import factories
from tests.notifications.fakes import FakeProvider, use_provider
from tests.notifications.strategies.harness import work

pytestmark = pytest.mark.django_db
CONTENT = {"title": "New", "body": "A comment"}


@pytest.fixture
def provider(settings: Any) -> FakeProvider:
    settings.QUIET_HOURS_SPREAD_SECONDS = 0
    only = FakeProvider("first")
    use_provider(settings, only)
    return only


def comments(**fields: Any) -> None:
    factories.category("comments", channels=["email"], digest_mode="fixed", digest_window_seconds=600, **fields)


def asleep() -> dict[str, Any]:
    """Quiet from an hour ago until two hours from now, in UTC."""
    now = timezone.now()
    window = {"quiet_start": now - timedelta(hours=1), "quiet_end": now + timedelta(hours=2)}
    return {name: moment.time().replace(second=0, microsecond=0) for name, moment in window.items()}


def send(n: int = 1, **fields: Any) -> None:
    draft = {"recipient": "ann", "category": "comments", "content": CONTENT, **fields}
    NotificationService().send([Draft(**draft) for _ in range(n)], source="api:test")


def close() -> None:
    Digest.objects.filter(state=DigestState.OPEN).update(closes_at=timezone.now() - timedelta(hours=1))
    assert closing.close_some() == 1


def ends() -> Counter[str]:
    """Of what was sent as digests."""
    rows = Delivery.objects.filter(notification__source="digest:comments").values_list("skip_reason", "status")
    return Counter(reason or status for reason, status in rows)


def test_a_digest_that_closes_in_quiet_hours_is_held_to_their_end(provider: FakeProvider) -> None:
    comments()
    factories.recipient("ann", **asleep())
    send(3)

    close()
    work()

    assert provider.calls == []
    wait = OutboxMessage.objects.get().due_at - timezone.now()
    assert timedelta(minutes=118) < wait < timedelta(minutes=121)
    assert ends() == {Status.QUEUED: 1}


def test_a_digest_counts_once_against_the_caps(provider: FakeProvider) -> None:
    comments(cap_per_day=2)
    factories.recipient("ann")
    for _ in range(3):
        send(5)
        close()
        work()

    assert len(provider.calls) == 2
    assert ends() == {Status.SENT: 2, SkipReason.FREQUENCY_CAPPED: 1}


def test_a_critical_message_is_neither_gathered_nor_held_nor_capped(provider: FakeProvider) -> None:
    comments(cap_per_day=1)
    factories.recipient("ann", **asleep())

    send(3, priority=Priority.CRITICAL)
    work()

    assert len(provider.calls) == 3
    assert not Digest.objects.exists()
    assert Notification.objects.count() == 3


def test_a_digest_held_by_the_night_is_still_capped_by_its_day(provider: FakeProvider) -> None:
    """The cap is asked when it leaves, not when it closed."""
    comments(cap_per_day=1)
    person = factories.recipient("ann", **asleep())
    for _ in range(2):
        send(2)
        close()
    type(person).objects.update(quiet_start=None, quiet_end=None)
    OutboxMessage.objects.update(due_at=timezone.now())

    work()

    assert len(provider.calls) == 1
    assert ends() == {Status.SENT: 1, SkipReason.FREQUENCY_CAPPED: 1}
