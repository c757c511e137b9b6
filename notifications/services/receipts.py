"""What providers report later: recorded, and acted upon. The same for a simulator's reports and a vendor's webhook."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from notifications import registry
from notifications.bulk import uuid_array
from notifications.choices import Channel, EventType
from notifications.observers import OutcomeKey
from notifications.services.claims import ProviderReceipt, ReceiptCounts
from notifications.services.tracking import DeliveryTracker
from preferences.choices import SuppressionReason, Way
from preferences.services import PreferencesService, Trace

#: Receipts in one call: the bound of a transaction's length.
MAX_RECEIPTS = 1_000
#: What receipts are counted as (`OutcomeKey.outcome`); the reason is a field of ReceiptCounts.
OUTCOME = "receipt"

_REASONS = {
    EventType.BOUNCED: SuppressionReason.HARD_BOUNCE,
    EventType.COMPLAINED: SuppressionReason.COMPLAINT,
}

# Whose addresses a set of deliveries went to, table by table: each of these goes through a primary key, where a join of
# partitioned tables is planned as a scan of every partition.
_DELIVERIES = """
    SELECT id, notification_id, recipient_id, channel, device_token_id, coalesce(sent_at, now())
      FROM notifications_delivery WHERE id = ANY(%s::uuid[])
"""
_LIVE = "SELECT id FROM notifications_notification WHERE id = ANY(%s::uuid[]) AND NOT is_test"
_RECIPIENTS = "SELECT id, email, phone, updated_at FROM preferences_recipient WHERE id = ANY(%s::uuid[])"


def apply_receipts(receipts: Sequence[ProviderReceipt]) -> int:
    """Record receipts, suppress the addresses that bounced for good or complained, retire devices that bounced.

    At most MAX_RECEIPTS at a time, in one transaction (the caller's, when one is open). A BOUNCED receipt is a hard
    bounce: adapters keep a vendor's soft ones to themselves. Test traffic changes nobody's addresses. What became of
    them is counted, also of those that changed nothing. Returns how many changed something.
    """
    if len(receipts) > MAX_RECEIPTS:
        raise ValueError(f"At most {MAX_RECEIPTS} receipts at a time.")
    with transaction.atomic():
        counts = DeliveryTracker().receipts(receipts)
        lasting = {r.delivery_id: r for r in receipts if r.type in _REASONS}
        if lasting:
            _act(lasting)
        _count(counts)
    return counts.applied.total()


def _count(counts: ReceiptCounts) -> None:
    """Tell the observers what became of receipts. These are of no source: who sends late or unknown ones is a
    provider's matter, and the events themselves were counted with their notifications."""
    told = {
        OutcomeKey("", 0, "", provider, OUTCOME, reason): n
        for reason, by_provider in counts._asdict().items()
        for provider, n in by_provider.items()
    }
    if told:
        for observer in registry.observers():
            observer.record(told)


class _Hit(NamedTuple):
    """A delivery that a lasting receipt speaks of, and where it went. `same`: the recipient was not edited since, so
    the address is still the one it went to."""

    delivery_id: UUID
    channel: str
    address: str
    device_id: UUID | None
    sent_at: datetime
    same: bool


def _act(receipts: Mapping[UUID, ProviderReceipt]) -> None:
    preferences = PreferencesService()
    addresses: dict[EventType, list[tuple[str, str]]] = {}
    devices = []
    for hit in _hits(receipts):
        type = receipts[hit.delivery_id].type
        if hit.channel == Channel.PUSH:
            if type is EventType.BOUNCED and hit.device_id is not None:
                devices.append((hit.device_id, hit.sent_at))
        # A bounce says that an address is dead: not the new one, if it was changed since. A complaint is the person's.
        elif hit.address and (hit.same or type is EventType.COMPLAINED):
            addresses.setdefault(type, []).append((hit.channel, hit.address))
    trace = Trace(Way.PROVIDER)
    for type, entries in addresses.items():
        preferences.suppress_all(entries, _REASONS[type], "receipt", trace)
    if devices:
        oldest = min(sent_at for _, sent_at in devices)
        preferences.retire_tokens([device for device, _ in devices], "bounced", not_after=oldest, trace=trace)


def _hits(deliveries: Iterable[UUID]) -> list[_Hit]:
    """Those of live traffic to people who still exist, in three reads by primary key."""
    with connection.cursor() as cursor:
        found = _read(cursor, _DELIVERIES, deliveries)
        live = {row[0] for row in _read(cursor, _LIVE, {row[1] for row in found})}
        found = [row for row in found if row[1] in live]
        people = {row[0]: row for row in _read(cursor, _RECIPIENTS, {row[2] for row in found})}
    hits = []
    for id, _, recipient, channel, device, sent_at in found:
        if recipient in people:
            _, email, phone, updated_at = people[recipient]
            address = {Channel.EMAIL: email, Channel.SMS: phone}.get(channel, "")
            hits.append(_Hit(id, channel, address, device, sent_at, updated_at <= sent_at))
    return hits


def _read(cursor: CursorWrapper, query: str, wanted: Iterable[UUID]) -> list[tuple[Any, ...]]:
    ids = sorted(wanted)
    if not ids:
        return []
    cursor.execute(query, [uuid_array(ids)])
    rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows
