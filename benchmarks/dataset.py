"""Realistic rows for a run: recipients with mixed preferences, templates in two locales, and drafts from them."""

import random
from collections.abc import Iterator
from typing import Any

from core.ids import uuid7
from notifications.drafts import Draft

CATEGORIES = ("orders", "promotions", "product-news")
LOCALES = ("en", "de", "pt-BR")

#: What the data of every draft says; its order and its count are its own.
ALIKE = {
    "warehouse": "Lyon",
    "carrier": "Post",
    "percent": "20%",
    "product": "Blue <kettle>",
    "amount": "12.50",
    "currency": "EUR",
    "due": "2027-01-31",
    "method": "card",
}

_HTML = """<!doctype html><html><body><h1>Hello {{ recipient.name }}</h1><p>%s</p>
<p><a href="https://shop.example/orders/{{ order }}">See order {{ order }}</a></p></body></html>"""


def _content(subject: str, text: str) -> dict[str, dict[str, str]]:
    return {
        "email": {"subject": subject, "text": f"Hello {{{{ recipient.name }}}},\n\n{text}", "html": _HTML % text},
        "push": {"title": subject, "body": text},
        "sms": {"body": text},
        "in_app": {"title": subject, "body": text, "link": "/orders/{{ order }}"},
    }


TEMPLATES = {
    "order-shipped": {
        "en": _content("Order {{ order }} is on its way", "{{ count }} items left {{ warehouse }} with {{ carrier }}."),
        "de": _content("Bestellung {{ order }} ist unterwegs", "{{ count }} Artikel sind mit {{ carrier }} unterwegs."),
    },
    "weekly-offer": {
        "en": _content("{{ percent }} off this week", "Order {{ order }}: {{ percent }} off {{ product }}."),
        "de": _content("{{ percent }} Rabatt", "Bestellung {{ order }}: {{ percent }} auf {{ product }}."),
    },
    "invoice": {
        "en": _content("Invoice {{ order }}", "{{ amount }} {{ currency }} due {{ due }}, {{ order }}, {{ method }}."),
        "de": _content("Rechnung {{ order }}", "{{ amount }} {{ currency }} bis {{ due }}, {{ order }}, {{ method }}."),
    },
}


def seed(recipients: int) -> None:
    """Recipients `person-0` and on, by COPY; a fifth have opted out of something, nobody of everything."""
    from django.db import connection, transaction

    from notifications.models import MessageTemplate
    from notifications.services.templates import new_version, publish
    from preferences.models import Category

    for slug in CATEGORIES:
        Category.objects.create(slug=slug, name=slug.title())
    for slug, content in TEMPLATES.items():
        variables = {"order": "A-1", "count": 3, **ALIKE}
        template = MessageTemplate.objects.create(slug=slug, name=slug.title(), variables=variables)
        publish(new_version(template, content, by=None), by=None)
    rng = random.Random(7)
    categories = list(Category.objects.order_by("id").values_list("id", flat=True))
    people, words = [], []
    for n in range(recipients):
        id = uuid7()
        locale = LOCALES[n % len(LOCALES)]
        people.append(f"{id}\tperson-{n}\tPerson {n}\tperson-{n}@example.com\t+1202{n:07d}\t{locale}\tUTC\t{{}}")
        if rng.random() < 0.2:
            words.append(f"{id}\t{rng.choice(categories)}\t{rng.choice(('email', 'sms', 'push'))}\tf")
    with transaction.atomic(), connection.cursor() as cursor:
        columns = "id, external_id, name, email, phone, locale, timezone, attributes"
        _copy(cursor, "preferences_recipient", columns, people)
        _copy(cursor, "preferences_preference", "recipient_id, category_id, channel, enabled", words)
        cursor.execute("ANALYZE preferences_recipient, preferences_preference")


def _copy(cursor: Any, table: str, columns: str, lines: list[str]) -> None:
    with cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as stream:
        stream.write("\n".join(lines))


def drafts(
    total: int, recipients: int, channels: tuple[str, ...], chunk: int, *, offset: int = 0
) -> Iterator[list[Draft]]:
    """Chunks of drafts, each to one of `channels`, as a campaign's fan-out makes them: one template a chunk. No two
    have the same data, also of two calls whose offsets are apart: duplicates would be skipped."""
    slugs = list(TEMPLATES)
    for start in range(0, total, chunk):
        slug = slugs[(start // chunk) % len(slugs)]
        yield [
            Draft(
                recipient=f"person-{n % recipients}",
                category=CATEGORIES[(start // chunk) % len(CATEGORIES)],
                template=slug,
                channels=(channels[n % len(channels)],),
                data={"order": f"A-{offset + n}", "count": n % 9 + 1, **ALIKE},
                priority="normal",
            )
            for n in range(start, min(start + chunk, total))
        ]
