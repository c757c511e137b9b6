"""Writing what may and may not be used to reach someone: device tokens and suppressed addresses."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from django.db import connection
from django.db.models import Q
from django.db.models.functions import Now

from preferences.choices import Changed, Channel, Platform, SuppressionReason, Way
from preferences.errors import ValidationProblem
from preferences.models import DeviceToken, Recipient, Suppression
from preferences.services import history
from preferences.services.inputs import Trace
from preferences.services.reach import MAX_DEVICES
from preferences.validation import device_label, device_token

#: The channels whose address is a person's; a push token is retired instead, and the feed has none.
SUPPRESSIBLE = frozenset({Channel.EMAIL.value, Channel.SMS.value})
#: What may be lifted by hand. What a number said, only that number takes back: carriers ask for it, and block as well.
LIFTABLE = frozenset(SuppressionReason.values) - {SuppressionReason.STOP_KEYWORD.value}
ONLY_START = "They replied STOP. Only a START from this number lets it be used again."
#: First key of the advisory locks on tokens ("Tokn"); the second is the beginning of the token's hash.
LOCK_SPACE = 0x546F6B6E


def register(external_id: str, platform: str, token: str, label: str, trace: Trace) -> tuple[DeviceToken, list[str]]:
    """Register a device, or register it again; also the external ids whose devices changed.

    A token that was someone else's until now becomes a new row under a new id: what is still queued for the old row
    must not reach the new owner. Raises Recipient.DoesNotExist and ValidationProblem.
    """
    if platform not in Platform.values:
        raise ValidationProblem("unknown_platform", f"Unknown platform. One of: {', '.join(Platform.values)}.")
    token, label = device_token(token), device_label(label)
    token_hash = DeviceToken.hash_of(token)
    _lock_token(token_hash)
    owner = DeviceToken.objects.filter(platform=platform, token_hash=token_hash).values("recipient_id")
    both = Recipient.objects.filter(Q(external_id=external_id) | Q(pk__in=owner)).order_by("external_id")
    touched = {one.external_id: one for one in both.select_for_update(no_key=True)}
    if external_id not in touched:
        raise Recipient.DoesNotExist
    recipient = touched[external_id]
    DeviceToken.objects.filter(platform=platform, token_hash=token_hash).exclude(recipient=recipient).delete()
    device, is_new = DeviceToken.objects.update_or_create(
        platform=platform,
        token_hash=token_hash,
        defaults={"label": label, "registered_at": Now(), "retired_at": None, "retired_reason": ""},
        create_defaults={"recipient": recipient, "token": token, "label": label},
    )
    if is_new:
        history.note(recipient.pk, [history.Change(Changed.DEVICE, "", "added", subject=str(device.pk))], trace)
    _retire_oldest(recipient)
    Recipient.objects.filter(external_id__in=touched).update(preferences_changed_at=Now())
    device.refresh_from_db()
    return device, list(touched)


def _lock_token(token_hash: str) -> None:
    """Until the transaction ends, nobody else registers this token. Without it two people who register it for the first
    time don't see each other's row: it would stay with the first, and the second would be told that it is theirs."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(%s, %s)",
            [LOCK_SPACE, int.from_bytes(bytes.fromhex(token_hash[:8]), "big", signed=True)],
        )


def _retire_oldest(recipient: Recipient) -> None:
    """Keep the newest MAX_DEVICES."""
    live = DeviceToken.objects.filter(recipient=recipient, retired_at=None)
    newest = live.order_by("-registered_at", "-id").values("pk")[:MAX_DEVICES]
    live.exclude(pk__in=newest).update(retired_at=Now(), retired_reason="too_many_devices")


def retire(token_ids: Sequence[UUID], reason: str, not_after: datetime | None, trace: Trace) -> tuple[int, list[str]]:
    """Retire these devices unless registered after `not_after`; how many were, and whose, by external id."""
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH owners AS MATERIALIZED (SELECT id FROM preferences_recipient WHERE id IN"
            " (SELECT recipient_id FROM preferences_devicetoken WHERE id = ANY(%s))"
            " ORDER BY external_id FOR NO KEY UPDATE),"  # one order everywhere: two batches never deadlock
            " gone AS (UPDATE preferences_devicetoken t SET retired_at = clock_timestamp(), retired_reason = %s"
            " FROM owners o WHERE t.recipient_id = o.id AND t.id = ANY(%s) AND t.retired_at IS NULL"
            " AND t.registered_at <= coalesce(%s, t.registered_at) RETURNING t.recipient_id, t.id),"
            " noted AS (INSERT INTO preferences_changerecord (recipient_id, batch, way, what, subject, before, after)"
            " SELECT recipient_id, %s, %s, 'device', id, 'in use', 'removed' FROM gone)"
            " UPDATE preferences_recipient r SET preferences_changed_at = clock_timestamp()"
            " FROM (SELECT recipient_id, count(*) AS tokens FROM gone GROUP BY 1) g WHERE r.id = g.recipient_id"
            " RETURNING r.external_id, g.tokens",
            [list(token_ids), reason[:64], list(token_ids), not_after, trace.batch, trace.way.value],
        )
        rows = cursor.fetchall()
    return sum(row[1] for row in rows), [row[0] for row in rows]


def check_suppressible(channel: str, address: str) -> None:
    """Raises ValidationProblem for what cannot be suppressed."""
    if channel not in SUPPRESSIBLE:
        raise ValidationProblem("not_suppressible", "Only email and SMS addresses can be suppressed.")
    if not address.strip() or not address.isprintable():
        raise ValidationProblem("invalid_address", "This is not an address.")


def suppress(entries: Sequence[tuple[str, str]], reason: str, source: str, trace: Trace) -> tuple[int, list[str]]:
    """Suppress these (channel, address) pairs; for how many this reason is new, and whose they are, by external id.
    Raises ValidationProblem for an unknown reason."""
    if reason not in SuppressionReason.values:
        raise ValidationProblem("unknown_reason", f"Unknown reason. One of: {', '.join(SuppressionReason.values)}.")
    keys = _keys(entries)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO preferences_suppression (channel, address_hash, reason, source)"
            " SELECT channel, address_hash, %s, %s FROM unnest(%s::text[], %s::text[]) AS i(channel, address_hash)"
            " ORDER BY 1, 2 ON CONFLICT DO NOTHING RETURNING channel, address_hash",
            [reason, source[:64], [key[0] for key in keys], [key[1] for key in keys]],
        )
        made = set(cursor.fetchall())
    if made:
        _note([entry for entry in entries if (entry[0], Suppression.hash_of(entry[1])) in made], "", reason, trace)
    return len(made), _touch_owners(entries)


def lift(entries: Sequence[tuple[str, str]], only: Collection[str] | None, trace: Trace) -> tuple[int, list[str]]:
    """Take back reasons why these addresses must not be used: those in `only`, or all that may be lifted by hand; how
    many were taken back, and whose addresses these are. Raises ValidationProblem, for a STOP as well that somebody
    else than its number wants to lift."""
    for channel, address in entries:
        check_suppressible(channel, address)
    wanted = LIFTABLE if only is None else frozenset(only)
    if SuppressionReason.STOP_KEYWORD in wanted and trace.way is not Way.KEYWORD:
        raise ValidationProblem("stop_keyword", ONLY_START)
    keys = _keys(entries)
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM preferences_suppression s USING unnest(%s::text[], %s::text[]) AS i(channel, address_hash)"
            " WHERE s.channel = i.channel AND s.address_hash = i.address_hash AND s.reason = ANY(%s::text[])"
            " RETURNING s.channel, s.address_hash, s.reason",
            [[key[0] for key in keys], [key[1] for key in keys], sorted(wanted)],
        )
        lifted = cursor.fetchall()
    if not lifted:
        return 0, []
    _note_lifted(entries, lifted, trace)
    return len(lifted), _touch_owners(entries)


def _note_lifted(entries: Sequence[tuple[str, str]], lifted: Sequence[tuple[str, str, str]], trace: Trace) -> None:
    """Each with the reason for which its address is still not used, if there is one."""
    rest = {
        (row.channel, row.address_hash): row.reason
        for row in Suppression.objects.filter(address_hash__in={hash for _, hash, _ in lifted}).order_by("-id")
    }
    addresses = {(channel, Suppression.hash_of(address)): address for channel, address in entries}
    groups: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for channel, hash, reason in lifted:
        key = (channel, hash)
        groups.setdefault((reason, rest.get(key, "")), []).append((channel, addresses[key]))
    for (before, after), group in groups.items():
        _note(group, before, after, trace)


def _keys(entries: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return sorted({(channel, Suppression.hash_of(address)) for channel, address in entries})


def _note(entries: Sequence[tuple[str, str]], before: str, after: str, trace: Trace) -> None:
    """Into the history of everyone who has one of these addresses, and is not erased meanwhile."""
    emails, phones = _by_kind(entries)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO preferences_changerecord (recipient_id, batch, way, what, channel, subject, before, after)"
            " SELECT r.id, %(batch)s, %(way)s, 'suppression', v.channel, %(by)s, %(before)s, %(after)s"
            "   FROM preferences_recipient r"
            "   CROSS JOIN LATERAL (VALUES ('email', UPPER(r.email) = ANY(%(emails)s)),"
            "                              ('sms', r.phone = ANY(%(phones)s))) AS v(channel, is_theirs)"
            "  WHERE (UPPER(r.email) = ANY(%(emails)s) OR r.phone = ANY(%(phones)s)) AND v.is_theirs"
            "    FOR KEY SHARE OF r",
            {
                "batch": trace.batch,
                "way": trace.way.value,
                "by": trace.by[:64],
                "before": before,
                "after": after,
                "emails": emails,
                "phones": phones,
            },
        )


def _by_kind(entries: Sequence[tuple[str, str]]) -> tuple[list[str], list[str]]:
    """The emails and the phones, as the indexes compare them: emails as UPPER(email), the expression of `iexact`."""
    emails = [address.strip().upper() for channel, address in entries if channel == Channel.EMAIL]
    return emails, [address.strip() for channel, address in entries if channel == Channel.SMS]


def _touch_owners(entries: Sequence[tuple[str, str]]) -> list[str]:
    """Move `preferences_changed_at` of everyone with one of these addresses; their external ids."""
    emails, phones = _by_kind(entries)
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH owners AS MATERIALIZED (SELECT id FROM preferences_recipient"
            " WHERE UPPER(email) = ANY(%s) OR phone = ANY(%s) ORDER BY external_id FOR NO KEY UPDATE)"
            " UPDATE preferences_recipient r SET preferences_changed_at = clock_timestamp()"
            " FROM owners WHERE r.id = owners.id RETURNING r.external_id",
            [emails, phones],
        )
        return [row[0] for row in cursor.fetchall()]
