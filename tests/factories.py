"""Small, obvious rows for tests: each function makes one thing that works, and takes what a test cares about.

from tests import factories
person = factories.recipient(email="")      # reachable on every channel but email
factories.device(person, platform="apns")
factories.category("orders"); factories.template("order-shipped"); key, token = factories.api_key()
"""

import hashlib
import itertools
import secrets
from collections.abc import Iterable, Mapping
from typing import Any

from django.utils import timezone

from notifications.models import ApiKey, MessageTemplate, TemplateVersion
from notifications.models.api_key import KeyMode, Scope
from preferences.models import Category, DeviceToken, Preference, Recipient

_numbers = itertools.count(1)

#: `content[locale][channel][field]`, one merge field each, English and German.
CONTENT: dict[str, dict[str, dict[str, str]]] = {
    "en": {
        "email": {
            "subject": "Order {{ order }} is on its way",
            "text": "Hello {{ recipient.name }}, your order {{ order }} has left.",
            "html": "<p>Hello {{ recipient.name }}, your order <b>{{ order }}</b> has left.</p>",
        },
        "push": {"title": "On its way", "body": "Your order {{ order }} has left."},
        "sms": {"body": "Your order {{ order }} has left."},
        "in_app": {"title": "On its way", "body": "Your order {{ order }} has left.", "link": "/orders/{{ order }}"},
    },
    "de": {
        "email": {
            "subject": "Bestellung {{ order }} ist unterwegs",
            "text": "Ihre Bestellung {{ order }} ist unterwegs.",
        },
        "push": {"title": "Unterwegs", "body": "Ihre Bestellung {{ order }} ist unterwegs."},
        "sms": {"body": "Ihre Bestellung {{ order }} ist unterwegs."},
        "in_app": {"title": "Unterwegs", "body": "Ihre Bestellung {{ order }} ist unterwegs."},
    },
}

#: Samples of what the tests' templates take from the data.
VARIABLES: dict[str, Any] = {"order": "A-1001", "name": "Ada", "code": "123456"}


def category(slug: str = "orders", **fields: Any) -> Category:
    """A category on all four channels; the one of that slug if it is there already and nothing else is asked."""
    # Tests like to send the same thing twice; those about duplicates say so.
    defaults = {"name": slug.replace("-", " ").title(), "dedup_seconds": 0, **fields}
    found, _ = Category.objects.update_or_create(slug=slug, defaults=defaults)
    return found


def recipient(external_id: str = "", *, devices: int = 1, **fields: Any) -> Recipient:
    """Someone reachable on every channel: email, phone and `devices` devices. Take one away with `email=""`."""
    number = next(_numbers)
    external_id = external_id or f"person-{number}"
    defaults: dict[str, Any] = {
        "name": f"Person {number}",
        "email": f"{external_id}@example.com".lower(),
        "phone": f"+1202555{number % 10_000:04d}",
        "locale": "en",
    }
    person = Recipient.objects.create(external_id=external_id, **{**defaults, **fields})
    for _ in range(devices):
        device(person)
    return person


def recipients(count: int, *, prefix: str = "person", **fields: Any) -> list[Recipient]:
    """Many at once, in order, without devices: `person-0` to `person-<count-1>`."""
    return Recipient.objects.bulk_create(
        Recipient(
            **{
                "external_id": f"{prefix}-{n}",
                "name": f"Person {n}",
                "email": f"{prefix}-{n}@example.com",
                "phone": f"+1202{n:07d}",
                **fields,
            }
        )
        for n in range(count)
    )


def device(person: Recipient, *, platform: str = "fcm", token: str = "", **fields: Any) -> DeviceToken:
    """One live device of a recipient."""
    token = token or f"token-{secrets.token_hex(16)}"
    return DeviceToken.objects.create(
        recipient=person, platform=platform, token=token, token_hash=DeviceToken.hash_of(token), **fields
    )


def preference(
    person: Recipient, channel: str, *, enabled: bool = False, category: Category | None = None
) -> Preference:
    """A recipient's word on a channel, written past the service: no cache key is dropped."""
    Recipient.objects.filter(pk=person.pk).update(preferences_changed_at=timezone.now())
    return Preference.objects.create(recipient=person, channel=channel, enabled=enabled, category=category)


def template(
    slug: str = "order-shipped", content: Mapping[str, Any] | None = None, *, published: bool = True, **fields: Any
) -> MessageTemplate:
    """A template with one version, published unless told otherwise; `template(...).published` is that version. What the
    tests' wordings take from the data is declared, unless `variables` says otherwise."""
    defaults = {"name": slug.replace("-", " ").title(), "variables": VARIABLES}
    made = MessageTemplate.objects.create(slug=slug, **{**defaults, **fields})
    version = TemplateVersion.objects.create(
        template=made,
        number=1,
        content=dict(content or CONTENT),
        published_at=timezone.now() if published else None,
    )
    if published:
        made.published = version
        made.save(update_fields=["published"])
    return made


def api_key(
    *, scopes: Iterable[str] = tuple(Scope.values), mode: str = KeyMode.LIVE, **fields: Any
) -> tuple[ApiKey, str]:
    """A key and the token that goes into `Authorization: Bearer <token>`."""
    prefix, secret = secrets.token_hex(4), secrets.token_hex(24)
    key = ApiKey.objects.create(
        **{
            "name": "test",
            "prefix": prefix,
            "secret_hash": hashlib.sha256(secret.encode()).hexdigest(),
            "mode": mode,
            "scopes": list(scopes),
            **fields,
        }
    )
    return key, f"ck_{mode}_{prefix}_{secret}"
