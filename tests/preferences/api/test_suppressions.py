"""Suppressions over the API: a list of one's own, looked through, added to and lifted by the rule of the admin."""

from typing import Any

import pytest
from django.utils import timezone

from preferences.choices import Way
from preferences.keywords import Keyword
from preferences.keywords.hearing import Said, hear
from preferences.models import ChangeRecord, Suppression
from preferences.services import PreferencesService
from tests import factories
from tests.api import Api, codes

pytestmark = pytest.mark.django_db

NUMBER = "+4915112345678"


@pytest.fixture(autouse=True)
def _ada() -> None:
    factories.recipient("ada", email="ada@example.com", phone=NUMBER)


def body(**more: Any) -> dict[str, Any]:
    return {"channel": "email", "address": "ADA@Example.com", **more}


def listed(api: Api, query: str = "") -> list[tuple[str, str]]:
    answer = api.get(f"suppressions/{query}")
    assert answer.status_code == 200, answer.content
    return [(row["channel"], row["reason"]) for row in answer.json()["results"]]


def test_a_list_of_ones_own_is_in_force_at_once_and_said_to_whom_it_concerns(api: Api) -> None:
    PreferencesService().reach(["ada"])

    made = api.post("suppressions/", body(reason="unsubscribed"))

    assert made.status_code == 201
    assert made.json()["address_hash"] == Suppression.hash_of("ada@example.com")
    assert "ada" not in made.content.decode().replace(made.json()["address_hash"], "")
    assert made.json()["source"].startswith("api:")
    assert PreferencesService().reach(["ada"])["ada"].suppressed == ("email",)
    change = ChangeRecord.objects.get()
    assert (change.way, change.subject, change.after) == (Way.API, made.json()["source"], "unsubscribed")
    again = api.post("suppressions/", body(reason="unsubscribed"))
    assert (again.status_code, again.json()["id"]) == (200, made.json()["id"])
    assert api.get(f"suppressions/{made.json()['id']}/").json() == made.json()


def found(api: Api, **asked: Any) -> list[str]:
    answer = api.post("suppressions/lookup/", asked)
    assert answer.status_code == 200, answer.content
    return [row["reason"] for row in answer.json()["results"]]


def test_it_is_looked_through_by_channel_reason_and_person(api: Api) -> None:
    service = PreferencesService()
    service.suppress("email", "ada@example.com", "hard_bounce")
    service.suppress("email", "ada@example.com", "complaint")
    service.suppress("sms", NUMBER, "manual")
    service.suppress("email", "bo@example.com", "manual")

    assert len(listed(api)) == 4
    assert listed(api, "?channel=sms") == [("sms", "manual")]
    assert listed(api, "?reason=complaint") == [("email", "complaint")]
    assert listed(api, "?recipient=ada&reason=manual") == [("sms", "manual")]
    assert listed(api, "?recipient=nobody") == []
    first = api.get("suppressions/?limit=3").json()
    rest = api.get(f"suppressions/?limit=3&cursor={first['next_cursor']}").json()
    assert len({row["id"] for row in first["results"] + rest["results"]}) == 4
    assert rest["next_cursor"] is None


def test_an_address_is_looked_up_in_a_body_and_never_in_a_url(api: Api) -> None:
    service = PreferencesService()
    service.suppress("email", "ada@example.com", "hard_bounce")
    service.suppress("email", "ada@example.com", "complaint")
    service.suppress("sms", NUMBER, "manual")

    assert found(api, channel="email", address="ADA@Example.com") == ["complaint", "hard_bounce"]
    assert found(api, channel="sms", address="+49 1511 2345678") == ["manual"]
    assert found(api, channel="email", address="bo@example.com") == []
    assert api.get("suppressions/?channel=email&address=ada@example.com").status_code == 422
    row = Suppression.objects.get(reason="manual")
    assert api.call("DELETE", f"suppressions/{row.pk}/?address=%2B4915112345678").status_code == 405
    assert Suppression.objects.count() == 3


@pytest.mark.parametrize(
    ("sent", "pointer"),
    [
        ({"channel": "email"}, "/address"),
        ({"channel": "push", "address": "x"}, "/channel"),
        ({"channel": "email", "address": "a\r\nb@example.com"}, "/address"),
        ({"channel": "sms", "address": "call me"}, "/address"),
        ({"channel": "email", "address": " "}, "/address"),
        ({"channel": "sms", "address": "\t"}, "/address"),
        ({"channel": "sms", "address": NUMBER, "reason": "manual"}, "/reason"),
    ],
)
def test_an_odd_address_is_422_with_its_pointer(api: Api, sent: dict[str, Any], pointer: str) -> None:
    assert pointer in codes(api.post("suppressions/lookup/", sent))


def test_a_blank_is_no_address_to_suppress(api: Api) -> None:
    assert codes(api.post("suppressions/", body(address=" "))) == {"/address": "required"}
    assert not Suppression.objects.exists()


def test_lifting_asks_for_the_address_and_leaves_other_reasons(api: Api) -> None:
    for reason in ("hard_bounce", "complaint"):
        PreferencesService().suppress("email", "ada@example.com", reason)
    row = Suppression.objects.get(reason="hard_bounce")

    lift = f"suppressions/{row.pk}/lift/"
    assert codes(api.post(lift, {})) == {"/address": "required"}
    assert codes(api.post(lift, {"address": "bo@example.com"})) == {"/address": "invalid"}
    assert api.post(lift, {"address": " Ada@example.com"}).status_code == 204

    assert listed(api) == [("email", "complaint")]
    assert PreferencesService().reach(["ada"])["ada"].suppressed == ("email",)
    assert api.post(lift, {"address": "ada@example.com"}).status_code == 404


def test_a_stop_is_neither_said_nor_lifted_by_the_api(api: Api) -> None:
    assert codes(api.post("suppressions/", body(reason="stop_keyword"))) == {"/reason": "stop_keyword"}
    hear([Said("simulated_sms", "m-1", NUMBER, Keyword.STOP, timezone.now())])
    row = Suppression.objects.get()

    answer = api.post(f"suppressions/{row.pk}/lift/", {"address": NUMBER})

    assert answer.status_code == 409
    assert "START" in answer.json()["detail"]
    assert Suppression.objects.exists()


@pytest.mark.parametrize(
    ("sent", "pointer"),
    [
        ({}, "/channel"),
        (body(channel="push"), "/channel"),
        (body(channel="fax"), "/channel"),
        (body(address="nobody"), "/address"),
        (body(address="a\x00@example.com"), "/address"),
        (body(channel="sms", address="12"), "/address"),
        (body(reason="because"), "/reason"),
        (body(since="yesterday"), "/since"),
    ],
)
def test_a_fault_is_422_with_its_pointer(api: Api, sent: dict[str, Any], pointer: str) -> None:
    assert pointer in codes(api.post("suppressions/", sent))
    assert not Suppression.objects.exists()


@pytest.mark.parametrize("query", ["?channel=fax", "?address=ada@example.com", "?what=x"])
def test_an_odd_question_is_422(api: Api, query: str) -> None:
    assert api.get(f"suppressions/{query}").status_code == 422


def test_each_call_asks_for_its_scope() -> None:
    reader = Api(scopes=["recipients:read"])
    assert reader.get("suppressions/").status_code == 200
    assert reader.post("suppressions/", body()).status_code == 403
    assert reader.post("suppressions/1/lift/", {"address": "x"}).status_code == 403
    assert reader.post("suppressions/lookup/", {"channel": "email", "address": "a@b.example"}).status_code == 200
    assert Api(scopes=["notifications:write"]).get("suppressions/").status_code == 403


@pytest.mark.parametrize("id", ["1", "99999999999999999999"])
def test_what_is_not_there_is_404(api: Api, id: str) -> None:
    assert api.get(f"suppressions/{id}/").status_code == 404
