"""What explaining says of limits, holds and what cannot be told."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from core import ids
from notifications.drafts import Draft
from notifications.explain import Check, Explanation, Verdict, explain, look_back
from notifications.models import Delivery, RateLimit
from notifications.providers.breaker import Breaker
from notifications.providers.circuit import Report
from notifications.services.notification import NotificationService
from notifications.services.rate_limiter import RateLimiter, RecipientAsk
from tests import factories
from tests.notifications.conftest import ComingAndGoing

pytestmark = pytest.mark.django_db

PAGE = "/admin/notifications/notification/explain/"


def draft(**fields: Any) -> Draft:
    return Draft(
        **{"recipient": "ann", "category": "orders", "template": "order-shipped", "channels": ["email"], **fields}
    )


def gate(told: Explanation, name: str) -> Check:
    return next(check for check in told.ways[0].checks if check.gate == name)


def test_who_has_had_enough_is_told_of_how_much_and_until_when(shop: None) -> None:
    person = factories.recipient("ann")
    limit = RateLimit.objects.create(scope="recipient", target="orders", max=2, per_seconds=3600)
    RateLimiter().recipients([RecipientAsk(person.pk.bytes, "orders", key) for key in ids.keys(2)])

    told = explain(draft(), source="api:test")

    stopped = gate(told, "recipient_limit")
    assert (stopped.verdict, stopped.code, stopped.seen) == ("skip", "rate_limited", {"orders": "2 of 2 in 1 hour"})
    assert stopped.sources[0].id == str(limit.pk)
    assert timedelta(minutes=59) < stopped.until - told.at <= timedelta(minutes=61)


def test_an_open_circuit_holds_and_says_how_many_failed(shop: None) -> None:
    factories.recipient("ann")
    for name in ("simulated_email", "simulated_email_backup"):
        Breaker().report(name, Report(answered=10, failed=30))

    told = explain(draft(), source="api:test")

    assert (told.outcome, told.ways[0].code) == ("hold", "circuit_open")
    assert told.ways[0].until > told.at
    assert "30 of 40 messages failed" in gate(told, "provider").says


def test_without_redis_what_cannot_be_told_is_said_and_decides_nothing(shop: None, redis_away: ComingAndGoing) -> None:
    factories.recipient("ann")
    factories.category("orders", dedup_seconds=300)
    RateLimit.objects.create(scope="recipient", target="", max=2, per_seconds=3600)
    redis_away.leave()

    told = explain(draft(), source="api:test")

    unknown = {check.gate for check in told.ways[0].checks if check.verdict == Verdict.UNKNOWN}
    assert unknown == {"duplicate", "recipient_limit", "provider"}
    assert told.outcome == Verdict.PASS


def test_without_redis_marketing_waits(shop: None, redis_away: ComingAndGoing) -> None:
    factories.recipient("ann")
    factories.category("orders", purpose="marketing")
    redis_away.leave()

    told = explain(draft(), source="campaign:1")

    assert (told.outcome, told.ways[0].code) == ("hold", "redis_away")


def test_a_duplicate_names_the_first_and_when_it_is_over(shop: None) -> None:
    factories.recipient("ann")
    factories.category("orders", dedup_seconds=300)
    [first] = NotificationService().send([draft()], source="api:test")

    told = explain(draft(), source="api:test")

    assert gate(told, "duplicate").seen["First"] == str(first.id)
    assert told.ways[0].until - ids.made_at(first.id) == timedelta(seconds=300)


def test_no_address_and_no_token_is_in_any_of_it(shop: None) -> None:
    person = factories.recipient("ann", email="ann@example.com", phone="+4915112345678", devices=0)
    factories.device(person, token="a-secret-token-of-some-length")

    told = str(explain(draft(channels=None), source="api:test"))

    assert all(secret not in told for secret in ("ann@example.com", "+4915112345678", "a-secret-token"))


def test_what_waits_says_until_when(shop: None) -> None:
    factories.recipient("ann")
    later = timezone.now() + timedelta(hours=3)
    [sent] = NotificationService().send([draft(send_at=later)], source="api:test")

    past = look_back(sent.id)

    assert past.fates[0].until == later
    assert past.today.ways[0].code == "send_at"


def test_the_past_tells_of_a_delivery_that_arrived_and_was_read(shop: None) -> None:
    factories.recipient("ann")
    [sent] = NotificationService().send([draft()], source="api:test")
    now = timezone.now()
    Delivery.objects.filter(notification_id=sent.id).update(
        status="delivered", provider="mailhouse", sent_at=now, delivered_at=now, opened_at=now
    )

    past = look_back(sent.id)

    assert past.says == "It arrived by Email."
    assert "by mailhouse. They opened it on" in past.fates[0].says


@pytest.fixture
def agent(client: Client) -> Client:
    """Staff who may look at notifications and nothing else."""
    user = User.objects.create_user("sam", password="x", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_notification"))
    client.force_login(user)
    return client


def test_the_page_is_for_those_who_may_see_notifications(client: Client, agent: Client, shop: None) -> None:
    assert agent.get(PAGE).status_code == 200

    client.force_login(User.objects.create_user("eve", password="x", is_staff=True))
    assert client.get(PAGE).status_code == 403


def test_who_may_not_see_recipients_finds_nobody_by_address(agent: Client, shop: None) -> None:
    factories.recipient("ann", email="ann@example.com")

    page = agent.post(PAGE, {"recipient": "ann@example.com", "category": "orders"}).content.decode()

    assert "There is no recipient" in page
    assert "/admin/preferences/" not in page


def test_turns_and_digests_are_asked_about_in_words(agent: Client, shop: None) -> None:
    factories.recipient("ann")
    steps = [{"channel": "in_app"}, {"channel": "email", "after": 60}]
    factories.category("turns", strategy="escalate", escalation=steps)
    factories.category("gathers", digest_mode="fixed", digest_window_seconds=60)

    def asked(category: str) -> str:
        return agent.post(
            PAGE, {"recipient": "ann", "category": category, "template": "order-shipped"}
        ).content.decode()

    assert "Is it its turn?" in asked("turns")
    assert "Is it gathered?" in asked("gathers")


@pytest.mark.parametrize(
    ("field", "value"),
    [("values", "[1]"), ("values", "{"), ("recipient", "\x00"), ("category", "none"), ("channels", "fax")],
)
def test_what_is_wrong_with_the_form_is_said_beside_it(agent: Client, shop: None, field: str, value: str) -> None:
    factories.recipient("ann")

    answer = agent.post(PAGE, {"recipient": "ann", "category": "orders", "template": "order-shipped", field: value})

    assert answer.status_code == 200
    assert "data-outcome" not in answer.content.decode()


def asleep() -> dict[str, Any]:
    """Fields of somebody for whom it is quiet now and for an hour or two."""
    now = timezone.now().replace(second=0, microsecond=0)
    return {"quiet_start": (now - timedelta(hours=1)).time(), "quiet_end": (now + timedelta(hours=2)).time()}


def test_quiet_hours_hold_and_say_until_when(shop: None) -> None:
    person = factories.recipient("ann", **asleep())

    told = explain(draft(), source="api:test")

    held = gate(told, "quiet_hours")
    until = f"Quiet until {person.quiet_end:%H:%M} UTC"
    assert (told.outcome, held.verdict, held.code) == ("hold", "hold", "quiet_hours")
    assert held.says == f"{until}. It waits; no attempt is used up."
    assert held.until is not None
    assert held.until.time() == person.quiet_end
    assert gate(told, "chain").verdict == "pass"  # told to the end
    assert gate(explain(draft(priority="critical"), source="api:test"), "quiet_hours").verdict == "pass"
    assert gate(explain(draft(channels=["in_app"]), source="api:test"), "quiet_hours").verdict == "pass"
    late = explain(draft(expires_at=timezone.now() + timedelta(minutes=30)), source="api:test")
    assert (late.outcome, gate(late, "quiet_hours").code) == ("skip", "expired")


def test_who_wants_no_quiet_hours_is_told_so(shop: None, settings: Any) -> None:
    settings.QUIET_HOURS = "{quiet_start:%H:%M}-{quiet_end:%H:%M}".format(**asleep())
    factories.recipient("ann", quiet_never=True)

    found = gate(explain(draft(), source="api:test"), "quiet_hours")

    assert (found.verdict, found.says) == ("pass", "They want no quiet hours.")


def test_the_past_tells_of_a_hold_for_quiet_hours(shop: None) -> None:
    person = factories.recipient("ann", **asleep())
    [accepted] = NotificationService().send([draft()], source="api:test")

    past = look_back(accepted.id)

    assert past is not None
    [fate] = past.fates
    assert (fate.status, fate.code) == ("queued", "quiet_hours")
    assert fate.says.startswith(f"It waits: Quiet until {person.quiet_end:%H:%M} UTC. It is due again on ")
    assert fate.until is not None


def test_the_page_of_a_notification_shows_the_hold(agent: Client, shop: None) -> None:
    person = factories.recipient("ann", **asleep())
    [accepted] = NotificationService().send([draft()], source="api:test")

    page = agent.get(f"/admin/notifications/notification/{accepted.id}/change/").content.decode()

    assert f"Quiet hours of the recipient: Quiet until {person.quiet_end:%H:%M} UTC." in page
    assert "It goes on by itself; no attempt is used up." in page
