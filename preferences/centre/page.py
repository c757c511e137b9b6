"""What stands on the page: values for its template, read in a constant number of queries."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings

from preferences import quiet_hours
from preferences.centre import locales, rhythms, words
from preferences.centre.visitors import Visitor
from preferences.choices import Changed, Channel, Platform, SuppressionReason, Way
from preferences.digesting.wording import said
from preferences.kinds import Part, kinds
from preferences.models import ALL_MARKETING, ChangeRecord, DeviceToken, Recipient, Suppression
from preferences.personal import codes, mail
from preferences.services import history, undoing
from preferences.validation import DEFAULT_QUIET_HOURS

#: Changes shown; the page is not an archive.
MAX_HISTORY = 30
MAX_DEVICES = 40
#: How a channel stands in a sentence.
BY = {
    Channel.EMAIL.value: "by email",
    Channel.SMS.value: "by text message",
    Channel.PUSH.value: "by push message",
    Channel.IN_APP.value: "in the inbox",
}
_STOPPED = {
    SuppressionReason.HARD_BOUNCE.value: "Messages came back from this address, so nothing is sent to it.",
    SuppressionReason.COMPLAINT.value: "Messages to this address were reported as spam, so nothing is sent to it.",
    SuppressionReason.UNSUBSCRIBED.value: "This address was unsubscribed, so nothing is sent to it.",
    SuppressionReason.MANUAL.value: "This address was blocked, so nothing is sent to it.",
    SuppressionReason.STOP_KEYWORD.value: "You replied STOP: nothing is sent to this number until you reply START.",
}


@dataclass(frozen=True, slots=True)
class Address:
    """An address as it may be shown to who looks. `stopped` says why nothing is sent to it, if so."""

    channel: str
    label: str
    shown: str
    stopped: str
    is_verified: bool


@dataclass(frozen=True, slots=True)
class HistoryLine:
    said: str
    way: str
    at: datetime


def address(visitor: Visitor, **query: str) -> str:
    """Of this page, saying these."""
    return f"{visitor.home}?{urlencode(query)}" if query else visitor.home


def context(visitor: Visitor, part: Part, *, saved: UUID | None = None, undone: bool = False) -> dict[str, object]:
    """Everything the page shows of this person, with this part of the kinds of messages."""
    recipient = visitor.recipient
    shown = kinds(part, "is_required", "name", "slug")
    zone = quiet_hours.zone(recipient.timezone)
    return {
        "visitor": visitor,
        "recipient": recipient,
        "here": address(visitor, **shown.part.query),
        "kinds": shown,
        "table": words.table(recipient, shown),
        "rhythms": rhythms.offered(recipient, shown.rows),
        "languages": locales.languages(recipient.locale),
        "zones": locales.zones(recipient.timezone),
        "quiet_default": settings.QUIET_HOURS,
        "devices": _devices(recipient, zone),
        "addresses": addresses(recipient, hidden=visitor.by_link),
        "history": [_line(change, zone) for change in history.newest(recipient.pk, MAX_HISTORY)],
        "undoable": saved if saved and undoing.changes_of(recipient.pk, saved) else None,
        "undone": undone,
        "mail_possible": mail.is_possible(),
        "code_possible": codes.is_possible(),
        "code_for": "" if visitor.by_link else codes.waiting(recipient),
    }


def addresses(recipient: Recipient, *, hidden: bool) -> list[Address]:
    """Where this person can be reached; masked for whoever came by a link, which may have been forwarded."""
    given = [
        (Channel.EMAIL.value, "Email", recipient.email, recipient.email_verified_at, masked_email),
        (Channel.SMS.value, "Text messages", recipient.phone, recipient.phone_verified_at, masked_phone),
    ]
    hashes = {channel: Suppression.hash_of(address) for channel, _, address, _, _ in given if address}
    stopped: dict[tuple[str, str], list[str]] = {}
    rows = Suppression.objects.filter(channel__in=hashes, address_hash__in=hashes.values()).order_by("id")
    for row in rows:
        stopped.setdefault((row.channel, row.address_hash), []).append(_STOPPED.get(row.reason, ""))
    return [
        Address(
            channel,
            label,
            mask(address) if hidden else address,
            " ".join(stopped.get((channel, hashes[channel]), ())),
            verified_at is not None,
        )
        for channel, label, address, verified_at, mask in given
        if address
    ]


def masked_email(address: str) -> str:
    """`ada@example.com` as `a•••@e•••.com`: enough for its owner."""
    local, _, domain = address.rpartition("@")
    name, _, top = domain.rpartition(".")
    return f"{local[:1]}•••@{name[:1]}•••.{top}"


def masked_phone(number: str) -> str:
    """`+4915112345678` as `+49•••78`."""
    return f"{number[:3]}•••{number[-2:]}"


def _devices(recipient: Recipient, zone: tzinfo) -> list[dict[str, object]]:
    rows = DeviceToken.objects.filter(recipient=recipient, retired_at=None).order_by("-registered_at", "-id")
    return [
        {
            "id": row.pk,
            "label": row.label or _PLATFORMS[row.platform],
            "platform": _PLATFORMS[row.platform],
            "since": row.registered_at.astimezone(zone),
        }
        for row in rows[:MAX_DEVICES]
    ]


_PLATFORMS = {
    Platform.APNS.value: "Apple device",
    Platform.FCM.value: "Android device",
    Platform.WEBPUSH.value: "Browser",
}
#: Said of a person to themselves.
_WAYS: Mapping[str, str] = {
    Way.PAGE.value: "on this page",
    Way.LINK.value: "by a link from a message",
    Way.UNSUBSCRIBE.value: "by unsubscribing",
    Way.KEYWORD.value: "by text message",
    Way.PROVIDER.value: "after a delivery report",
}


def _line(change: ChangeRecord, zone: tzinfo) -> HistoryLine:
    return HistoryLine(_said(change), _WAYS.get(change.way, "by the service"), change.at.astimezone(zone))


def _said(change: ChangeRecord) -> str:
    match change.what:
        case Changed.PREFERENCE.value:
            about = change.category.name if change.category else "Everything"
            about = "All marketing" if change.subject == ALL_MARKETING else about
            word = {"on": "on", "off": "off"}.get(change.after, "as usual")
            return f"{about} {BY[change.channel]}: {word}"
        case Changed.DIGEST.value:
            about = change.category.name if change.category else "Everything"
            return f"{about}, how often: {said(change.after) or 'as usual'}"
        case Changed.LOCALE.value | Changed.TIMEZONE.value | Changed.QUIET_HOURS.value:
            usual = "as usual" if settings.QUIET_HOURS else "none"
            before, after = (
                usual if word == DEFAULT_QUIET_HOURS else word or "none" for word in (change.before, change.after)
            )
            return f"{Changed(change.what).label}: {before} → {after}"
        case Changed.DEVICE.value:
            return f"Device {'added' if change.after in ('added', 'in use') else 'removed'}"
        case Changed.SUPPRESSION.value:
            return f"Messages {BY[change.channel]}: {'stopped' if change.after else 'resumed'}"
    return f"{Changed(change.what).label} changed"
