"""Every webhook twice more and in any order: no figure, status, event or address changes; in another order from the
start, the same comes out."""

import random
import time
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings as conf
from django.utils import timezone

from analytics.models import MinuteCount
from analytics.services import verify
from core import standard_webhooks
from core.ids import uuid7
from notifications.choices import EventType, Status
from notifications.management.commands import run_events
from notifications.models import Delivery, DeliveryEvent
from notifications.providers.simulated_courier import Parcel
from notifications.receivers import simulated
from preferences.models import DeviceToken, Suppression
from tests import courier, factories
from tests.notifications.providers.test_receipts import sent
from tests.notifications.test_webhooks import body_of

pytestmark = pytest.mark.django_db(transaction=True)

#: What vendors say of a message, in the order it happened.
FATES = [
    (EventType.DELIVERED,),
    (EventType.DELIVERED, EventType.OPENED),
    (EventType.DELIVERED, EventType.OPENED, EventType.CLICKED),
    (EventType.DELIVERED, EventType.COMPLAINED),
    (EventType.BOUNCED,),
    (),
]


def told_of(deliveries: Sequence[UUID]) -> list[tuple[UUID, EventType]]:
    told = [(id, type) for n, id in enumerate(deliveries) for type in FATES[n % len(FATES)]]
    return [*told, (uuid7(), EventType.DELIVERED), (uuid7(), EventType.BOUNCED)]


def parcels(told: Sequence[tuple[UUID, EventType]], size: int = 4) -> list[Parcel]:
    secret = simulated.secret("simulated_email", conf.SECRET_KEY)
    made = []
    for start in range(0, len(told), size):
        body = body_of(told[start : start + size])
        headers = standard_webhooks.sign([secret], id=f"msg_{start}", timestamp=int(time.time()), body=body)
        made.append(Parcel("simulated_email", headers, body, []))
    return made


def post(webhooks: Sequence[Parcel]) -> None:
    """Each is applied before the next, or together with a few: as it happens."""
    for start in range(0, len(webhooks), 3):
        assert set(courier.carry(webhooks[start : start + 3])) <= {200}
        while run_events.step():
            pass


def figures() -> dict[Any, int]:
    """Counters but for the minute, those of the receipts themselves aside."""
    found: Counter[Any] = Counter()
    for row in MinuteCount.objects.exclude(outcome="receipt"):
        found[row.source, row.category_id, row.channel, row.provider, row.outcome, row.reason] += row.count
    return dict(found)


def record() -> dict[str, Any]:
    """All that could have changed."""
    return {
        "figures": figures(),
        "deliveries": list(Delivery.objects.order_by("id").values()),
        "events": list(DeliveryEvent.objects.order_by("id").values()),
        "suppressed": sorted(Suppression.objects.values_list("channel", "address_hash", "reason")),
        "devices": list(DeviceToken.objects.order_by("id").values("id", "retired_at")),
    }


def receipts() -> dict[str, int]:
    found: Counter[str] = Counter()
    for reason, count in MinuteCount.objects.filter(outcome="receipt").values_list("reason", "count"):
        found[reason] += count
    return dict(found)


def people(count: int, prefix: str = "person") -> list[UUID]:
    """So many people, each of whom was sent an email; the deliveries."""
    return [sent(person, "email") for person in factories.recipients(count, prefix=prefix)]


def test_replayed_twice_and_shuffled_they_change_nothing() -> None:
    # Given webhooks of every kind that were applied
    since = timezone.now()
    told = told_of(people(30))
    webhooks = parcels(told)
    post(webhooks)
    before, counted = record(), receipts()
    assert counted == {"applied": len(told) - 2, "unknown": 2}
    # When each comes twice more, in any order
    again = webhooks * 2
    random.Random(11).shuffle(again)
    post(again)
    # Then all is as it was, and it is counted that they came
    assert record() == before
    assert receipts() == {"applied": len(told) - 2, "unchanged": 2 * (len(told) - 2), "unknown": 6}
    assert verify(since, timezone.now() + timedelta(minutes=1)) == []


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_in_another_order_the_same_comes_out(seed: int) -> None:
    # Given two crowds that the same is told of, once in order and once in any
    ordered, shuffled = people(24, "a"), people(24, "b")
    post(parcels(told_of(ordered)))
    told = told_of(shuffled)
    random.Random(seed).shuffle(told)
    post(parcels(told))
    # Then their messages stand alike
    assert standing(ordered) == standing(shuffled)
    assert Suppression.objects.count() == 2 * 8
    by_type = Counter(DeliveryEvent.objects.filter(delivery_id__in=ordered).values_list("type", flat=True))
    assert Counter(DeliveryEvent.objects.filter(delivery_id__in=shuffled).values_list("type", flat=True)) == by_type


def standing(deliveries: Sequence[UUID]) -> list[tuple[str, bool, bool, bool]]:
    found = {row.id: row for row in Delivery.objects.filter(id__in=deliveries)}
    rows = [found[id] for id in deliveries]
    return [(row.status, *(at is not None for at in (row.delivered_at, row.opened_at, row.clicked_at))) for row in rows]


def test_a_late_receipt_moves_nothing_backwards() -> None:
    (delivery,) = people(1)
    post(parcels([(delivery, EventType.BOUNCED)]))

    post(parcels([(delivery, EventType.DELIVERED)]))

    assert Delivery.objects.get(id=delivery).status == Status.BOUNCED
    assert receipts() == {"applied": 1, "unchanged": 1}
