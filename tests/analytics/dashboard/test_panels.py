"""The figures behind the dashboard's panels, and who may see what of them."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.urls import reverse

from analytics.observer import MinuteCounts
from core.moments import database_now
from notifications.models import DeadLetter, OutboxMessage, RateLimit
from notifications.observers import OutcomeKey
from notifications.services import providers
from tests import factories

pytestmark = pytest.mark.django_db

PARTS = ("live", "figures", "charts", "tops")
PAGES = (reverse("analytics-dashboard"), reverse("analytics-dashboard-wall"))
SENT = OutcomeKey("api:abc", 1, "email", "simulated_email", "sent")
BOUNCED = OutcomeKey("api:abc", 1, "email", "simulated_email", "bounced")
REFUSED = OutcomeKey("api:abc", 1, "sms", "simulated_sms", "failed", "rejected")
SKIPPED = OutcomeKey("api:abc", 1, "push", "", "skipped", "opted_out")


def part(name: str) -> str:
    return reverse(f"analytics-dashboard-{name}")


@pytest.fixture
def staff() -> Client:
    """Somebody who may look at the dashboard and at nothing else."""
    client = Client()
    client.force_login(User.objects.create_user("looks", is_staff=True))
    return client


@pytest.fixture
def operator() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("grace"))
    return client


@pytest.mark.parametrize("address", [*PAGES, *map(part, PARTS)])
def test_only_staff_see_it(address: str):
    outsider = Client()
    outsider.force_login(User.objects.create_user("outsider"))

    for client in (Client(), outsider):
        answer = client.get(address)
        assert (answer.status_code, answer["Location"].split("?")[0]) == (302, reverse("admin:login"))


@pytest.mark.parametrize("address", [*PAGES, *map(part, PARTS)])
def test_everything_opens_on_an_empty_system(staff: Client, address: str):
    assert staff.get(address).status_code == 200


def test_what_nobody_counted_is_not_called_nought_percent(staff: Client):
    figures = staff.get(part("figures")).json()

    assert figures["success"] == {"now": None, "before": None}
    assert figures["latency"]["now"] == {"p50": None, "p95": None, "p99": None}
    assert staff.get(part("live")).json()["channels"][0]["success"] is None


def test_counts_stand_beside_those_of_the_period_before(staff: Client):
    now = database_now()
    MinuteCounts().record({SENT: 40, BOUNCED: 2, REFUSED: 10, SKIPPED: 5}, now)
    MinuteCounts().record({SENT: 30}, now - timedelta(minutes=61))
    MinuteCounts().record({SENT: 1000}, now - timedelta(hours=3))

    figures = staff.get(part("figures")).json()

    totals = {outcome: (count["now"], count["before"]) for outcome, count in figures["totals"].items()}
    assert (totals["sent"], totals["bounced"], totals["failed"], totals["skipped"]) == (
        (40, 30),
        (2, 0),
        (10, 0),
        (5, 0),
    )
    assert figures["success"] == {"now": 38 / 50, "before": 1.0}, "of 50 that were tried, 10 were refused and 2 bounced"
    assert [(one["label"], one["now"]) for one in figures["errors"]] == [
        ("Refused by the provider", 10),
        ("Bounced", 2),
    ]
    assert [(one["label"], one["now"]) for one in figures["skips"]] == [("Opted out", 5)]
    email = next(channel for channel in figures["channels"] if channel["key"] == "email")
    assert (email["counts"]["sent"]["now"], email["success"]) == (40, 38 / 40)


def test_filters_narrow_everything(staff: Client):
    MinuteCounts().record({SENT: 40, REFUSED: 10}, database_now())
    query = {"channel": "sms"}

    figures, charts = (staff.get(part(name), query).json() for name in ("figures", "charts"))

    assert (figures["totals"]["sent"]["now"], figures["totals"]["failed"]["now"]) == (0, 10)
    assert [series["key"] for series in charts["sent"]] == ["sms"]


def test_the_chart_ends_with_a_step_that_is_still_running(staff: Client):
    now = database_now()
    MinuteCounts().record({SENT: 7}, now)

    charts = staff.get(part("charts"), {"range": "15m"}).json()

    email = next(series for series in charts["sent"] if series["key"] == "email")
    assert (charts["step"], len(charts["at"]), email["values"][-1], sum(email["values"])) == (60, 15, 7, 7)
    assert 0 < charts["partial"] <= 1
    assert len(charts["before"]) == len(charts["latency"]["p50"]) == 15


@pytest.mark.parametrize("name", ["figures", "charts", "tops"])
def test_an_address_that_makes_no_sense_is_answered_with_a_sentence(staff: Client, name: str):
    answer = staff.get(part(name), {"range": "forever"})

    assert answer.status_code == 400
    assert "There is no range of that name" in answer.json()["problem"]


def test_a_number_leads_to_its_deliveries_for_those_who_may_see_them(staff: Client, operator: Client):
    MinuteCounts().record({SKIPPED: 5}, database_now())
    query = {"channel": "push", "category": "1"}

    address = operator.get(part("figures"), query).json()["skips"][0]["url"]

    asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    assert urlsplit(address).path == reverse("admin:notifications_delivery_changelist")
    assert (
        asked.items()
        >= {"outcome": "skipped", "reason": "opted_out", "channel__exact": "push", "category": "1"}.items()
    )
    assert operator.get(address).status_code == 200
    assert staff.get(part("figures"), query).json()["skips"][0]["url"] == ""


def test_it_tells_how_far_the_outbox_is_behind(operator: Client):
    now = database_now()
    for due_at in (now - timedelta(seconds=90), now - timedelta(seconds=1), now + timedelta(hours=1)):
        OutboxMessage.objects.create(channel="email", priority="low", due_at=due_at, delivery_ids=[uuid4(), uuid4()])
    DeadLetter.objects.create(delivery_id=uuid4(), channel="sms", priority="low", cause="poison")

    live = operator.get(part("live")).json()

    backlog = live["backlog"]
    assert (backlog["due"], backlog["later"], backlog["dead"]) == (4, 2, 1), "messages, not rows of the outbox"
    assert 89 < backlog["oldest"] < 120
    assert [(lane["channel"], lane["priority"], lane["due"]) for lane in live["lanes"]] == [("email", "Low", 4)]
    assert any("Email is behind" in finding["words"] for finding in live["verdict"]["findings"])


def test_switching_is_offered_to_those_who_may(staff: Client, operator: Client):
    viewer = Client()
    user = User.objects.create_user("views", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_providerswitch"))
    viewer.force_login(user)
    providers.switch_off("simulated_email", by="grace", reason="Invoices unpaid")

    def email(client: Client) -> dict | None:
        chains = client.get(part("live")).json()["providers"]
        return chains and next(chain for chain in chains if chain["channel"] == "email")

    chain = email(operator)
    assert chain is not None
    first, second = chain["providers"]
    assert (first["state"], first["switch"]) == ("Switched off", {"by": "grace", "reason": "Invoices unpaid"})
    assert ([act["act"] for act in first["acts"]], second["serving"]) == (["on"], True)
    assert [act["act"] for act in second["acts"]] == ["off"]
    assert [one["acts"] for one in (email(viewer) or {})["providers"]] == [[], []]
    assert email(staff) is None


def test_limits_are_shown_by_their_pressure(operator: Client):
    RateLimit.objects.create(scope="provider", target="simulated_sms", max=100, per_seconds=60)
    RateLimit.objects.create(scope="recipient", target="", max=5, per_seconds=60)

    (limit,) = operator.get(part("live")).json()["limits"]

    assert (limit["label"], limit["used"], limit["max"]) == ("simulated_sms", 0, 100)


def test_campaigns_callers_and_categories_are_called_by_their_names(operator: Client):
    category = factories.category()
    counts = {
        OutcomeKey("campaign:4711", category.pk, "email", "simulated_email", "sent"): 9,
        OutcomeKey("api:gone", category.pk, "email", "simulated_email", "sent"): 3,
        OutcomeKey("campaign:4711", category.pk, "email", "simulated_email", "opened"): 4,
    }
    MinuteCounts().record(counts, database_now())

    tops = operator.get(part("tops")).json()

    assert [(one["label"], one["sent"], one["opened"], one["lost"]) for one in tops["campaigns"]] == [
        ("campaign:4711", 9, 4, 0)
    ]
    assert [(one["label"], one["sent"]) for one in tops["callers"]] == [("API key gone", 3)]
    assert [(one["label"], one["sent"], one["success"]) for one in tops["categories"]] == [(category.name, 12, 1.0)]
    assert [(one["label"], one["sent"]) for one in tops["providers"]] == [("simulated_email", 12)]


def test_figures_that_take_too_long_are_given_up_and_that_is_said(staff: Client, monkeypatch: pytest.MonkeyPatch):
    def asleep(*_: object) -> dict:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(5)")
        return {}

    monkeypatch.setattr("analytics.dashboard.views.TIMEOUT_MS", 50)
    monkeypatch.setattr("analytics.dashboard.tops.tops", asleep)

    answer = staff.get(part("tops"))

    assert answer.status_code == 503
    assert "too busy" in answer.json()["problem"]
