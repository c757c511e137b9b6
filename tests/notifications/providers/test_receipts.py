"""Later words on a delivery: recorded, and acted upon."""

import re
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.utils import timezone

from analytics.models import MinuteCount
from core.ids import uuid7
from notifications import partitions
from notifications.choices import Channel, EventType, Status
from notifications.models import Delivery, DeliveryEvent, Notification
from notifications.services.claims import ProviderReceipt
from notifications.services.receipts import MAX_RECEIPTS, apply_receipts
from preferences.models import DeviceToken, Recipient, Suppression
from preferences.services import PreferencesService
from tests import factories
from tests.plans import plans

pytestmark = pytest.mark.django_db


def sent(person: Recipient, channel: str, *, is_test: bool = False, device: DeviceToken | None = None) -> UUID:
    """A delivery that a provider took."""
    notification = Notification.objects.create(
        recipient=person, category=factories.category(), priority="normal", source="test", is_test=is_test
    )
    delivery = Delivery.objects.create(
        notification=notification,
        recipient=person,
        channel=channel,
        priority="normal",
        device_token=device,
        status=Status.SENT,
        sent_at=timezone.now(),
    )
    return delivery.id


def receipt(delivery: UUID, type: EventType) -> ProviderReceipt:
    return ProviderReceipt(delivery, type, "simulated")


def suppressed(person: Recipient) -> set[tuple[str, str]]:
    found = set()
    for channel, address in (("email", person.email), ("sms", person.phone)):
        for row in Suppression.objects.filter(channel=channel, address_hash=Suppression.hash_of(address)):
            found.add((row.channel, row.reason))
    return found


@pytest.mark.parametrize("channel", [Channel.EMAIL, Channel.SMS])
@pytest.mark.parametrize(("type", "reason"), [(EventType.BOUNCED, "hard_bounce"), (EventType.COMPLAINED, "complaint")])
def test_a_hard_bounce_or_complaint_suppresses_the_address(channel: str, type: EventType, reason: str) -> None:
    person = factories.recipient()
    delivery = sent(person, channel)

    assert apply_receipts([receipt(delivery, type)]) == 1

    assert suppressed(person) == {(channel, reason)}
    assert DeliveryEvent.objects.filter(delivery_id=delivery, type=type).count() == 1


@pytest.mark.parametrize("type", [EventType.DELIVERED, EventType.OPENED, EventType.CLICKED])
def test_good_news_suppresses_nothing(type: EventType) -> None:
    person = factories.recipient()

    apply_receipts([receipt(sent(person, "email"), type)])

    assert suppressed(person) == set()


def test_a_receipt_that_comes_again_changes_nothing() -> None:
    person = factories.recipient()
    receipts = [receipt(sent(person, "email"), EventType.DELIVERED)]

    assert [apply_receipts(receipts), apply_receipts(receipts)] == [1, 0]


def test_a_receipt_for_an_unknown_delivery_changes_nothing() -> None:
    assert apply_receipts([receipt(uuid7(), EventType.BOUNCED)]) == 0


def counted() -> dict[tuple[str, str], int]:
    rows = MinuteCount.objects.filter(outcome="receipt").values_list("provider", "reason", "count")
    found: Counter[tuple[str, str]] = Counter()
    for provider, reason, count in rows:
        found[provider, reason] += count
    return dict(found)


def test_it_is_counted_what_became_of_each_and_who_said_so() -> None:
    # Given receipts of two vendors: news, some of it twice, a late word and one of a delivery that is not ours
    person = factories.recipient()
    first, second = sent(person, "email"), sent(person, "sms")
    told = [receipt(first, EventType.BOUNCED), receipt(uuid7(), EventType.OPENED)]
    told += [ProviderReceipt(second, EventType.DELIVERED, "texts")] * 2
    # When they are applied, and a late word comes after them
    assert apply_receipts(told) == 2
    assert apply_receipts([receipt(first, EventType.DELIVERED)]) == 0
    # Then each is counted once
    assert counted() == {
        ("simulated", "applied"): 1,
        ("simulated", "unknown"): 1,
        ("simulated", "unchanged"): 1,
        ("texts", "applied"): 1,
        ("texts", "unchanged"): 1,
    }


def test_test_traffic_changes_nobodys_addresses() -> None:
    person = factories.recipient()
    delivery = sent(person, "email", is_test=True)

    apply_receipts([receipt(delivery, EventType.BOUNCED)])

    assert Delivery.objects.get(id=delivery).status == Status.BOUNCED
    assert suppressed(person) == set()


def test_a_bounce_of_the_old_address_does_not_suppress_the_new_one() -> None:
    # Given a message that left for an address that was changed afterwards
    person = factories.recipient()
    delivery = sent(person, "email")
    person.email, person.updated_at = "new@example.com", timezone.now()
    person.save()
    # When it bounces
    apply_receipts([receipt(delivery, EventType.BOUNCED)])
    # Then the new address may still be used
    assert suppressed(person) == set()


def test_a_complaint_counts_although_the_recipient_was_edited_since() -> None:
    person = factories.recipient()
    delivery = sent(person, "email")
    Recipient.objects.filter(pk=person.pk).update(name="New", updated_at=timezone.now())

    apply_receipts([receipt(delivery, EventType.COMPLAINED)])

    assert suppressed(person) == {("email", "complaint")}


def test_a_device_that_bounced_is_retired_and_the_others_are_not() -> None:
    person = factories.recipient(devices=2)
    gone, alive = person.device_tokens.order_by("id")

    apply_receipts([receipt(sent(person, "push", device=gone), EventType.BOUNCED)])

    gone.refresh_from_db()
    alive.refresh_from_db()
    assert (gone.retired_at is not None, alive.retired_at) == (True, None)


def test_an_in_app_bounce_has_nothing_to_suppress() -> None:
    person = factories.recipient()

    apply_receipts([receipt(sent(person, "in_app"), EventType.BOUNCED)])

    assert suppressed(person) == set()


def test_it_stands_or_falls_with_the_callers_transaction() -> None:
    person = factories.recipient()
    delivery = sent(person, "email")

    with transaction.atomic():
        apply_receipts([receipt(delivery, EventType.BOUNCED)])
        transaction.set_rollback(True)

    assert suppressed(person) == set()
    assert Delivery.objects.get(id=delivery).status == Status.SENT


def test_the_number_of_queries_does_not_grow_with_the_batch(django_assert_max_num_queries: Any) -> None:
    people = factories.recipients(60)
    few, many = people[:3], people[3:]

    def queries(batch: list[Recipient]) -> int:
        receipts = [receipt(sent(person, "email"), EventType.BOUNCED) for person in batch]
        with django_assert_max_num_queries(40) as captured:
            apply_receipts(receipts)
        return len(captured)

    assert queries(few) == queries(many)
    assert len([person for person in people if suppressed(person)]) == 60


def test_a_batch_is_bounded() -> None:
    with pytest.raises(ValueError, match="At most"):
        apply_receipts([receipt(uuid7(), EventType.DELIVERED)] * (MAX_RECEIPTS + 1))

    assert connection.is_usable()


def test_an_address_that_cannot_be_suppressed_does_not_keep_the_others_in_use() -> None:
    odd, person = factories.recipient(email='"\x01"@example.com'), factories.recipient()

    apply_receipts([receipt(sent(one, "email"), EventType.BOUNCED) for one in (odd, person)])

    assert suppressed(person) == {("email", "hard_bounce")}
    assert set(Delivery.objects.values_list("status", flat=True)) == {Status.BOUNCED}


def test_a_bounce_of_someone_erased_since_changes_nothing_else() -> None:
    gone, person = factories.recipient(), factories.recipient()
    receipts = [receipt(sent(one, "email"), EventType.BOUNCED) for one in (gone, person)]
    PreferencesService().erase(gone.external_id)

    apply_receipts(receipts)

    assert suppressed(gone) == set()
    assert suppressed(person) == {("email", "hard_bounce")}


#: Ids that rise like real ones, n of now's week.
_IDS = """
    CREATE TEMPORARY TABLE filled ON COMMIT DROP AS
    SELECT n, (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint), 12, '0') || '70008000'
               || lpad(to_hex(n), 12, '0'))::uuid AS id
      FROM generate_series(1, %s) n
"""
_FILL = """
    INSERT INTO preferences_recipient (id, external_id, name, email, phone, locale, timezone, attributes)
    SELECT id, 'p' || n, '', 'p' || n || '@example.com', '', '', 'UTC', '{}' FROM filled;
    INSERT INTO notifications_notification
           (id, recipient_id, category_id, priority, source, is_test, data, metadata, dedup_key)
    SELECT id, id, 1, 'normal', 'test', false, '{}', '{}', '' FROM filled;
    INSERT INTO notifications_delivery (id, notification_id, recipient_id, channel, priority, status, skip_reason,
           attempts, provider, error_code)
    SELECT id, id, id, 'email', 'normal', 'sent', '', 1, '', '' FROM filled;
    ANALYZE notifications_delivery, notifications_notification, preferences_recipient;
"""
_SCAN = re.compile(r"Seq Scan on (?:notifications_(?:delivery|notification)_\w+|preferences_recipient)\b.*")


def test_a_large_record_is_read_by_key_and_never_scanned() -> None:
    # Given a record that is large beside a batch
    with connection.cursor() as cursor:
        cursor.execute(_IDS, [60_000])
        cursor.execute(_FILL)
        cursor.execute("SELECT id FROM filled WHERE n %% 200 = %s", [0])
        batch = [row[0] for row in cursor.fetchall()]

    # When a batch of receipts that suppress is applied
    with plans("SELECT") as seen:
        apply_receipts([receipt(id, EventType.COMPLAINED) for id in batch])
    # Then nothing of the record was read from end to end
    assert len(batch) == 300 == Suppression.objects.count()
    assert len(seen) > 3
    assert [scan for plan in seen for scan in _SCAN.findall(plan)] == []


def test_a_complaint_reads_no_week_of_events_before_its_delivery() -> None:
    partitions.ensure(timezone.now() - timedelta(weeks=8), 10)
    delivery = sent(factories.recipient(), "email")

    with plans("complained", "deliveryevent") as seen:
        apply_receipts([receipt(delivery, EventType.COMPLAINED)])
        apply_receipts([receipt(delivery, EventType.COMPLAINED)])

    assert DeliveryEvent.objects.filter(type=EventType.COMPLAINED).count() == 1
    old = partitions.Week.of(timezone.now() - timedelta(weeks=3)).suffix
    assert len(seen) == 2
    assert all(f"deliveryevent_{partitions.Week.of(timezone.now()).suffix}" in plan for plan in seen)
    assert not any(f"deliveryevent_{old}" in plan for plan in seen)
