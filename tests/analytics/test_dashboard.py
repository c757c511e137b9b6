"""The dashboard page and the figures behind it."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from analytics import selectors
from analytics.observer import MinuteCounts
from notifications.models import DeadLetter, OutboxMessage
from notifications.observers import OutcomeKey

pytestmark = pytest.mark.django_db
LIVE = "/admin/dashboard/live/"


@pytest.fixture
def staff() -> Client:
    client = Client()
    client.force_login(User.objects.create_user("looks", is_staff=True))
    return client


@pytest.mark.parametrize("address", ["/admin/dashboard/", LIVE])
def test_only_staff_see_it(address: str) -> None:
    outsider = Client()
    outsider.force_login(User.objects.create_user("outsider"))

    for client in (Client(), outsider):
        answer = client.get(address)
        assert (answer.status_code, answer["Location"].split("?")[0]) == (302, reverse("admin:login"))


def test_the_page_opens_on_an_empty_system(staff: Client) -> None:
    answer = staff.get(reverse("analytics-dashboard"))

    assert answer.status_code == 200
    assert 'id="snapshot"' in answer.content.decode()


def test_it_counts_what_happened_within_the_hour(staff: Client) -> None:
    now = selectors.database_now()
    sent = OutcomeKey("api:abc", 1, "email", "smtp", "sent")
    bounced = OutcomeKey("api:abc", 1, "email", "smtp", "bounced")
    refused = OutcomeKey("api:abc", 1, "sms", "gate", "failed", "rejected")
    MinuteCounts().record({sent: 40, bounced: 2, refused: 1}, now)
    MinuteCounts().record({sent: 1000}, now - timedelta(hours=2))

    figures = staff.get(LIVE).json()

    outcomes = {outcome["key"]: outcome["count"] for outcome in figures["outcomes"]}
    assert (outcomes["sent"], outcomes["bounced"], outcomes["failed"]) == (40, 2, 1)
    email = next(series for series in figures["sent"]["series"] if series["key"] == "email")
    assert (len(email["counts"]), sum(email["counts"]), email["counts"][-1]) == (60, 40, 40)
    assert figures["errors"] == [{"label": "Bounced", "count": 2}, {"label": "Refused by the provider", "count": 1}]


def test_it_tells_how_far_the_outbox_is_behind(staff: Client) -> None:
    now = selectors.database_now()
    for due_at in (now - timedelta(seconds=90), now - timedelta(seconds=1), now + timedelta(hours=1)):
        OutboxMessage.objects.create(channel="email", priority="low", due_at=due_at, delivery_ids=[uuid4(), uuid4()])
    DeadLetter.objects.create(
        delivery_id="00000000-0000-7000-8000-000000000000", channel="sms", priority="low", cause="poison"
    )

    backlog = staff.get(LIVE).json()["backlog"]

    counts = [(backlog[part]["count"], backlog[part]["more"]) for part in ("due", "later", "dead")]
    assert counts == [(4, False), (2, False), (1, False)], "messages, not rows of the outbox"
    assert 89 < backlog["oldest"] < 120
