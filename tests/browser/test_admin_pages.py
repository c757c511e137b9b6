"""Pages of digests, caps, categories and changed preferences in a real Chromium: empty, full, with long words, on a
telephone and in the dark, for everybody."""

from datetime import time, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from notifications.models import Digest, DigestItem, RateLimit
from preferences.choices import Changed, Way
from preferences.models import Category, ChangeRecord, Recipient
from tests import factories
from tests.admin import notification, simulated_call
from tests.admin import page as address
from tests.browser.axe import violations
from tests.browser.test_admin import sign_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

CUT = """[...document.querySelectorAll("#result_list tbody :is(th, td)")]
    .some((cell) => cell.scrollHeight > cell.clientHeight + 2)"""
STEPS = [
    {"channel": "in_app"},
    {"channel": "push", "after": 600, "unless": "seen"},
    {"channel": "email", "after": 3600, "unless": "read"},
]


def empty() -> list[str]:
    return [
        address(Digest),
        address(RateLimit),
        address(RateLimit, "add"),
        address(ChangeRecord),
        address(Category, "add"),
        address(Recipient, "add"),
    ]


def full() -> list[str]:
    """Everything as long as it may be."""
    now = timezone.now()
    person = factories.recipient(
        "ada-" + "x" * 120, quiet_start=time(22), quiet_end=time(7), timezone="America/Argentina/Buenos_Aires"
    )
    category = factories.category(
        "c" * 64, name="Comments under " + "posts you have written " * 3, description="What it is about. " * 30,
        digest_mode="sliding", strategy="escalate", escalation=STEPS, cap_per_day=3, cap_per_week=10,
    )  # fmt: skip
    item = notification(person.external_id)
    common = {"recipient": person, "category": category, "channels": ["push", "email"], "closes_at": now}
    opened = Digest.objects.create(**common, key="k" * 120, count=1234)
    DigestItem.objects.create(notification=item, digest=opened)
    sent = Digest.objects.create(**common, state="sent", closed_at=now, notification_id=item.pk, is_test=True)
    Digest.objects.create(**common, state="empty", closed_at=now)
    cap = RateLimit.objects.create(scope="cap", target="day", max=5, per_seconds=86_400, note="we promised " * 16)
    RateLimit.objects.create(scope="recipient", target=category.slug, max=20, per_seconds=3600, is_on=False)
    for what in Changed:
        change = ChangeRecord.objects.create(recipient=person, what=what, way=Way.KEYWORD, batch=uuid4())
    ChangeRecord.objects.filter(what=Changed.PREFERENCE).update(
        category=category, channel="email", after="off", at=now - timedelta(days=1)
    )
    call = simulated_call(recipient_id=person.pk, headers={"List-Unsubscribe": "<https://" + "x" * 200 + "/>"})
    rows = (call, opened, sent, cap, change, category, person)
    lists = (Digest, RateLimit, ChangeRecord, Category)
    return [*map(address, lists), *map(address, rows), address(opened, "now")]


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_nothing_stands_in_anybodys_way(page: Any, live_server: Any, scheme: str, width: int) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 844})
    sign_in(page, live_server.url)

    for place in (*empty(), *full()):
        page.goto(live_server.url + place)

        assert violations(page) == [], place
        assert page.evaluate("document.documentElement.scrollWidth") <= width, place
        assert not page.evaluate(CUT), f"{place}: a cell is cut off"
