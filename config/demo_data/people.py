"""Ten thousand made-up people: user-1 to user-10000, the same ones every time, on reserved addresses and numbers."""

import random
from collections.abc import Iterator, Sequence
from datetime import datetime

from django.conf import settings
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.utils import timezone

from core.ids import uuid7
from notifications.bulk import NULL, copy, json
from notifications.choices import Channel
from preferences.models import Category, DeviceToken, Recipient

COUNT = 10_000

_GIVEN = "Ada Bela Caio Dana Emil Farah Goran Hana Ivo Jana Kofi Lena Mika Nora Omar Pia Quinn Rosa Sami Tara"
_FAMILY = "Abe Braun Costa Dietz Eriksen Fuchs Garcia Haas Ito Jansen Khan Lima Meyer Novak Okoro Peters Silva"
#: Locale, home zones, share of a hundred.
_PLACES: Sequence[tuple[str, Sequence[str], int]] = (
    ("en", ("America/New_York", "America/Los_Angeles", "Europe/London", "Asia/Kolkata"), 45),
    ("de", ("Europe/Berlin", "Europe/Vienna", "Europe/Zurich"), 20),
    ("pt-BR", ("America/Sao_Paulo", "America/Manaus"), 15),
    ("fr", ("Europe/Paris", "America/Montreal"), 8),
    ("es", ("Europe/Madrid", "America/Mexico_City"), 8),
    ("ja", ("Asia/Tokyo",), 4),
)
#: A hundred area codes, each with the hundred numbers (555-0100 to 555-0199) that are kept for fiction.
_AREA_CODES = (
    "201 202 203 205 206 207 208 209 210 212 213 214 215 216 217 218 219 224 225 228 229 231 234 239 240 248 251 252"
    " 253 254 256 260 262 267 269 270 276 281 301 302 303 304 305 307 308 309 310 312 313 314 315 316 317 318 319 320"
    " 321 323 325 330 334 336 337 339 347 351 352 360 361 386 401 402 404 405 406 407 408 409 410 412 413 414 415 417"
    " 419 423 424 425 430 432 434 435 440 443 469 478 479 480 484 501"
)


def seed() -> int:
    """Add those who are missing, in a few seconds at most; returns how many. All or nothing."""
    if Recipient.objects.filter(external_id=f"user-{COUNT}").exists():
        return 0
    categories = dict(Category.objects.filter(is_required=False).values_list("slug", "id"))
    people, devices, preferences = _rows(random.Random(42), sorted(categories.values()), timezone.now())
    with transaction.atomic(), connection.cursor() as cursor:
        added = _recipients(cursor, people)
        _of_recipients(
            cursor,
            "preferences_devicetoken",
            {
                "id": "uuid",
                "platform": "text",
                "token": "text",
                "token_hash": "text",
                "label": "text",
                "retired_reason": "text",
            },
            devices,
        )
        _of_recipients(
            cursor, "preferences_preference", {"category_id": "int", "channel": "text", "enabled": "bool"}, preferences
        )
    return added


def _rows(dice: random.Random, categories: list[int], now: datetime) -> tuple[list[str], list[str], list[str]]:
    """COPY lines of recipients, devices and preferences; the latter two begin with the external id."""
    people: list[str] = []
    devices: list[str] = []
    preferences: list[str] = []
    for number in range(1, COUNT + 1):
        id_ = f"user-{number}"
        is_demo = id_ == settings.DEMO_RECIPIENT  # reachable on every channel, no opt-outs
        opinions = [] if is_demo else list(_opinions(dice, categories))
        people.append(_person(dice, number, is_demo=is_demo, changed=now.isoformat() if opinions else NULL))
        for platform in ("fcm", "apns") if is_demo else _platforms(dice):
            token = f"magic-success-{number}-{platform}" if is_demo else dice.randbytes(32).hex()
            label = {"fcm": "Android", "apns": "iPhone", "webpush": "Browser"}[platform]
            devices.append("\t".join((id_, str(uuid7()), platform, token, DeviceToken.hash_of(token), label, "")))
        preferences += ["\t".join((id_, category, channel, "f")) for category, channel in opinions]
    return people, devices, preferences


def _person(dice: random.Random, number: int, *, is_demo: bool, changed: str) -> str:
    """One in twenty has no email and one in five no phone: those are skips with a reason, as in life."""
    ((locale, zones, _),) = dice.choices(_PLACES, weights=[place[2] for place in _PLACES])
    zone = dice.choice(zones)
    name = f"{dice.choice(_GIVEN.split())} {dice.choice(_FAMILY.split())}"
    email = f"user-{number}@example.com" if dice.random() < 0.95 or is_demo else ""
    has_phone = dice.random() < 0.8 or is_demo
    area_codes = _AREA_CODES.split()
    phone = f"+1{area_codes[number % 100]}55501{number // 100 % 100:02d}" if has_phone else ""
    attributes = json({"plan": dice.choice(("free", "plus", "pro")), "orders": dice.randrange(40)})
    if is_demo:  # magic addresses: a newcomer's first message arrives on every channel, whatever the dice say
        name, locale, zone = "Demo Person", "en", "Europe/Berlin"
        email, phone = f"open+user-{number}@carillon.test", "+19075550100"
    return "\t".join((str(uuid7()), f"user-{number}", name, email, phone, locale, zone, attributes, changed))


def _platforms(dice: random.Random) -> list[str]:
    count = dice.choices((0, 1, 2), weights=(30, 55, 15))[0]
    return dice.sample(("fcm", "apns", "webpush"), count)


def _opinions(dice: random.Random, categories: list[int]) -> Iterator[tuple[str, str]]:
    """One in five has turned something off: a channel altogether, or one category on one channel."""
    if dice.random() < 0.2:
        category = NULL if dice.random() < 0.25 else str(dice.choice(categories))
        for channel in dice.sample(Channel.values, dice.choice((1, 1, 2))):
            yield category, channel


_RECIPIENT_COLUMNS = "id, external_id, name, email, phone, locale, timezone, attributes, preferences_changed_at"


def _recipients(cursor: CursorWrapper, lines: list[str]) -> int:
    """By way of a temporary table, so that a person who is there already stays as they are."""
    cursor.execute("CREATE TEMP TABLE demo_people (LIKE preferences_recipient INCLUDING DEFAULTS) ON COMMIT DROP")
    copy(cursor, "demo_people", _RECIPIENT_COLUMNS, lines)
    cursor.execute(
        f"INSERT INTO preferences_recipient ({_RECIPIENT_COLUMNS})"
        f" SELECT {_RECIPIENT_COLUMNS} FROM demo_people ON CONFLICT (external_id) DO NOTHING"
    )
    return int(cursor.rowcount)


def _of_recipients(cursor: CursorWrapper, table: str, columns: dict[str, str], lines: list[str]) -> None:
    """Rows that belong to recipients, which the lines name by external id in their first field."""
    names = ", ".join(columns)
    typed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    cursor.execute(f"CREATE TEMP TABLE demo_{table} (external_id text, {typed}) ON COMMIT DROP")
    copy(cursor, f"demo_{table}", f"external_id, {names}", lines)
    cursor.execute(
        f"INSERT INTO {table} (recipient_id, {names}) SELECT r.id, {', '.join('d.' + name for name in columns)}"
        f" FROM demo_{table} d JOIN preferences_recipient r USING (external_id) ON CONFLICT DO NOTHING"
    )
