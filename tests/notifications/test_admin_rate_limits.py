"""Rate limits in the admin: what they are of, faults at the field, the figure of this moment, and who changed what."""

from typing import Any

import pytest
from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.http import HttpResponse

from core import redis
from notifications.models import RateLimit
from notifications.models.limits import MAX_FOR_A_PERSON
from notifications.services.limits import limit_cache
from notifications.services.rate_limiter import RateLimiter
from tests import factories
from tests.admin import page, signed_in

pytestmark = pytest.mark.django_db
FORM = {"scope": "provider", "target": "simulated_email", "max": "10", "per_seconds": "60", "is_on": "on", "note": ""}


def faults(response: HttpResponse) -> dict[str, Any]:
    assert response.status_code == 200
    return dict(response.context["adminform"].form.errors)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"scope": "global", "target": ""},
        {"scope": "recipient", "target": ""},
        {"scope": "recipient", "target": "orders"},
        {"scope": "api_key", "target": ""},
        {"scope": "api_key", "target": "shopkey"},
        {"target": " simulated_email "},
    ],
)
def test_what_makes_sense_is_taken_and_in_force_at_once(change: dict[str, str]) -> None:
    factories.category("orders")
    factories.api_key(prefix="shopkey")
    limit_cache.all()

    response = signed_in(may="everything").post(page(RateLimit, "add"), {**FORM, **change})

    assert response.status_code == 302
    row = RateLimit.objects.get()
    assert limit_cache.all() == {(row.scope, row.target): (10, 60)}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"max": "0"}, "max"),
        ({"max": "-5"}, "max"),
        ({"max": ""}, "max"),
        ({"max": "many"}, "max"),
        ({"scope": "recipient", "target": "", "max": str(MAX_FOR_A_PERSON + 1)}, "max"),
        ({"per_seconds": "0"}, "per_seconds"),
        ({"per_seconds": "99999999"}, "per_seconds"),
        ({"target": ""}, "target"),
        ({"target": "carrier_pigeon"}, "target"),
        ({"scope": "global", "target": "simulated_email"}, "target"),
        ({"scope": "recipient", "target": "orders"}, "target"),
        ({"scope": "api_key", "target": "nobody"}, "target"),
        ({"scope": "everything"}, "scope"),
    ],
)
def test_what_makes_none_is_said_beside_its_field(change: dict[str, str], field: str) -> None:
    response = signed_in(may="everything").post(page(RateLimit, "add"), {**FORM, **change})

    assert set(faults(response)) == {field}
    assert not RateLimit.objects.exists()


def test_a_second_limit_of_the_same_is_said_beside_its_target() -> None:
    client = signed_in(may="everything")
    client.post(page(RateLimit, "add"), FORM)

    assert "already" in str(faults(client.post(page(RateLimit, "add"), FORM))["target"])
    assert RateLimit.objects.count() == 1


def test_adding_changing_and_deleting_are_in_the_log() -> None:
    client = signed_in(may="everything")
    client.post(page(RateLimit, "add"), FORM)
    row = RateLimit.objects.get()
    client.post(page(row), {**FORM, "max": "20"})
    client.post(page(row, "delete"), {"post": "yes"})

    entries = LogEntry.objects.order_by("pk")
    assert [entry.action_flag for entry in entries] == [ADDITION, CHANGE, DELETION]
    assert "At most" in entries[1].get_change_message()
    assert {entry.user.username for entry in entries} == {"user-everything"}


def test_the_list_tells_how_much_is_used_in_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    RateLimit.objects.create(scope="provider", target="simulated_email", max=10, per_seconds=3600)
    RateLimit.objects.create(scope="global", max=100, per_seconds=3600)
    RateLimit.objects.create(scope="recipient", max=5, per_seconds=3600)
    RateLimit.objects.create(scope="provider", target="simulated_sms", max=10, per_seconds=3600, is_on=False)
    RateLimiter().provider("simulated_email", 9, priority="critical")
    calls = []
    real = RateLimiter._run
    monkeypatch.setattr(RateLimiter, "_run", lambda *args: calls.append(args) or real(*args))

    body = signed_in(may="everything").get(page(RateLimit)).content.decode()

    assert "9 of 10" in body
    assert "9 of 100" in body
    assert "each by itself" in body
    assert "10 an hour" in body
    assert len(calls) == 1


def test_without_redis_the_figure_is_unknown_and_the_pages_open(monkeypatch: pytest.MonkeyPatch) -> None:
    row = RateLimit.objects.create(scope="global", max=100, per_seconds=60)
    client = signed_in(may="everything")

    def away() -> None:
        raise redis.RedisError("away")

    monkeypatch.setattr(redis, "client", away)

    for address in (page(RateLimit), page(row)):
        response = client.get(address)
        assert response.status_code == 200
        assert "unknown" in response.content.decode()


def test_those_who_only_look_change_nothing() -> None:
    row = RateLimit.objects.create(scope="global", max=100, per_seconds=60)
    client = signed_in(may="view")

    assert client.get(page(row)).status_code == 200
    assert client.post(page(RateLimit, "add"), FORM).status_code == 403
    assert client.post(page(row), {**FORM, "max": "1"}).status_code == 403
    assert client.post(page(row, "delete"), {"post": "yes"}).status_code == 403
    assert RateLimit.objects.get().max == 100


def test_known_targets_are_suggested() -> None:
    factories.category("orders")
    key, _ = factories.api_key(name="<shop>")

    body = signed_in(may="everything").get(page(RateLimit, "add")).content.decode()

    assert '<option value="simulated_email">provider</option>' in body
    assert '<option value="orders">category</option>' in body
    assert f'<option value="{key.prefix}">API key &lt;shop&gt;</option>' in body
