"""People, a category and an API key, written past the product: the same in a test's database and in one of its own."""

import hashlib
import uuid
from collections.abc import Sequence
from typing import Any

import psycopg

KEY = "ck_live_faults00_" + "f" * 48
CATEGORY = "orders"
_SCOPES = ["notifications:write", "notifications:read", "recipients:write", "recipients:read"]


def seed(connection: psycopg.Connection[Any], people: int) -> list[str]:
    """`person-0` to `person-<people-1>`, each with an email address, a phone number and one device; their names."""
    digest = hashlib.sha256(("f" * 48).encode()).hexdigest()
    connection.execute(
        "INSERT INTO notifications_apikey (name, prefix, secret_hash, mode, scopes) VALUES (%s, %s, %s, 'live', %s)",
        ["faults", "faults00", digest, _SCOPES],
    )
    category(connection, CATEGORY)
    names = [f"person-{n}" for n in range(people)]
    person(connection, names)
    return names


def category(connection: psycopg.Connection[Any], slug: str, *, purpose: str = "transactional") -> None:
    connection.execute(
        "INSERT INTO preferences_category (slug, name, description, channels, default_priority, is_required, purpose,"
        " dedup_seconds) VALUES (%s, %s, '', %s, 'normal', false, %s, 0)",
        [slug, slug.title(), ["push", "email", "sms", "in_app"], purpose],
    )


def person(connection: psycopg.Connection[Any], names: Sequence[str], *, domain: str = "example.com") -> None:
    """Reachable on every channel."""
    with connection.cursor() as cursor:
        for number, name in enumerate(names):
            recipient, token = uuid.uuid4(), f"token-{name}"
            cursor.execute(
                "INSERT INTO preferences_recipient (id, external_id, name, email, phone, locale, timezone, attributes)"
                " VALUES (%s, %s, %s, %s, %s, 'en', 'UTC', '{}')",
                [recipient, name, name, f"{name}@{domain}", f"+1202{number:07d}"],
            )
            cursor.execute(
                "INSERT INTO preferences_devicetoken (id, recipient_id, platform, token, token_hash, label,"
                " retired_reason) VALUES (%s, %s, 'fcm', %s, %s, '', '')",
                [uuid.uuid4(), recipient, token, hashlib.sha256(token.encode()).hexdigest()],
            )
