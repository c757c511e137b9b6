"""What providers report later: recorded, and acted upon. The same for a simulator's reports and a vendor's webhook."""

from collections.abc import Sequence
from uuid import UUID

from django.db import connection, transaction

from notifications.bulk import uuid_array
from notifications.choices import Channel, EventType
from notifications.services.claims import ProviderReceipt
from notifications.services.tracking import DeliveryTracker
from preferences.choices import SuppressionReason
from preferences.services import PreferencesService

#: Receipts in one call: the bound of a transaction's length.
MAX_RECEIPTS = 1_000

_REASONS = {
    EventType.BOUNCED: SuppressionReason.HARD_BOUNCE,
    EventType.COMPLAINED: SuppressionReason.COMPLAINT,
}

#: Whose addresses a set of deliveries went to. `same`: the recipient was not edited since, so the address is still it.
_ADDRESSES = """
    SELECT d.id, d.channel, r.email, r.phone, d.device_token_id, coalesce(d.sent_at, now()),
           r.updated_at <= coalesce(d.sent_at, now()) AS same
      FROM notifications_delivery d
      JOIN notifications_notification n ON n.id = d.notification_id
      JOIN preferences_recipient r ON r.id = d.recipient_id
     WHERE d.id = ANY(%s::uuid[]) AND NOT n.is_test
"""


def apply_receipts(receipts: Sequence[ProviderReceipt]) -> int:
    """Record receipts, suppress the addresses that bounced for good or complained, retire devices that bounced.

    At most MAX_RECEIPTS at a time, in one transaction (the caller's, when one is open). A BOUNCED receipt is a hard
    bounce: adapters keep a vendor's soft ones to themselves. Test traffic changes nobody's addresses. Returns how many
    receipts changed something.
    """
    if len(receipts) > MAX_RECEIPTS:
        raise ValueError(f"At most {MAX_RECEIPTS} receipts at a time.")
    with transaction.atomic():
        changed = DeliveryTracker().receipts(receipts)
        lasting = {r.delivery_id: r for r in receipts if r.type in _REASONS}
        if lasting:
            _act(lasting)
    return changed


def _act(receipts: dict[UUID, ProviderReceipt]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_ADDRESSES, [uuid_array(receipts)])
        rows = cursor.fetchall()
    preferences = PreferencesService()
    addresses: dict[EventType, list[tuple[str, str]]] = {}
    devices = []
    for delivery, channel, email, phone, device, sent_at, same in rows:
        type = receipts[delivery].type
        if channel == Channel.PUSH:
            if type is EventType.BOUNCED and device is not None:
                devices.append((device, sent_at))
            continue
        address = {Channel.EMAIL: email, Channel.SMS: phone}.get(channel, "")
        # A bounce says that an address is dead: not the new one, if it was changed since. A complaint is the person's.
        if address and (same or type is EventType.COMPLAINED):
            addresses.setdefault(type, []).append((channel, address))
    for type, entries in addresses.items():
        preferences.suppress_all(entries, _REASONS[type], "receipt")
    if devices:
        oldest = min(sent_at for _, sent_at in devices)
        preferences.retire_tokens([device for device, _ in devices], "bounced", not_after=oldest)
