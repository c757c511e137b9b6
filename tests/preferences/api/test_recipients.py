from typing import Any
from urllib.parse import quote

import pytest

from notifications.models import Notification
from preferences.models import Recipient
from preferences.services import PreferencesService
from tests import factories
from tests.api import Api, codes

pytestmark = pytest.mark.django_db

ADA = {
    "name": "Ada",
    "email": "ada@Example.com",
    "phone": "+49 151 12345678",
    "locale": "pt_br",
    "timezone": "europe/berlin",
    "attributes": {"plan": "pro"},
}


def test_put_creates_and_normalises(api: Api) -> None:
    response = api.put("recipients/user-42/", ADA)

    assert response.status_code == 201
    assert response.json() | {"created_at": "", "updated_at": ""} == {
        "external_id": "user-42",
        "name": "Ada",
        "email": "ada@example.com",
        "phone": "+4915112345678",
        "locale": "pt-BR",
        "timezone": "Europe/Berlin",
        "quiet_hours": None,
        "email_verified_at": None,
        "phone_verified_at": None,
        "attributes": {"plan": "pro"},
        "created_at": "",
        "updated_at": "",
    }


def test_put_replaces_what_is_left_out_by_its_default(api: Api) -> None:
    api.put("recipients/user-42/", ADA)

    response = api.put("recipients/user-42/", {"email": "new@example.com"})

    assert response.status_code == 200
    row = response.json()
    assert (row["email"], row["name"], row["phone"], row["timezone"], row["attributes"]) == (
        "new@example.com",
        "",
        "",
        "UTC",
        {},
    )


def test_patch_leaves_what_is_left_out_and_null_clears(api: Api) -> None:
    api.put("recipients/user-42/", ADA)

    row = api.patch("recipients/user-42/", {"email": None, "locale": "de"}).json()

    assert (row["email"], row["locale"], row["name"], row["phone"]) == ("", "de", "Ada", "+4915112345678")


def test_patch_makes_nobody(api: Api) -> None:
    assert api.patch("recipients/nobody/", {"name": "x"}).status_code == 404
    assert not Recipient.objects.exists()


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("email", "ada", "invalid_email"),
        ("email", "a@b.c\r\nBcc: x@example.com", "invalid_email"),
        ("phone", "12", "invalid_phone"),
        ("locale", "german", "invalid_locale"),
        ("timezone", "Mars/Olympus", "invalid_timezone"),
        ("name", "x" * 201, "length"),
        ("attributes", [], "type"),
        ("attributes", {"a": "x" * 20_000}, "too_large"),
        ("external_id", "other", "unknown_field"),
    ],
)
def test_a_fault_is_422_with_its_pointer(api: Api, field: str, value: Any, code: str) -> None:
    found = codes(api.put("recipients/user-42/", {field: value}))

    assert set(found) == {f"/{field}"}
    assert found[f"/{field}"] == code or field == "locale"
    assert not Recipient.objects.exists()


@pytest.mark.parametrize(
    "external_id", ["a@b.example", "tenant:42", "x/y/z", "ünïcode", "50%", "a b", "?q=1", "#1", "a+b", "%2F", "."]
)
def test_any_id_can_be_written_into_a_path(api: Api, external_id: str) -> None:
    path = f"recipients/{quote(external_id, safe='')}/"

    assert api.put(path, ADA).status_code == 201
    assert api.get(path).json()["external_id"] == external_id
    assert api.get(f"{path}preferences/").json()["recipient"] == external_id
    assert api.get(f"{path}device-tokens/").json() == {"results": []}
    assert api.delete(path).status_code == 204


@pytest.mark.parametrize("external_id", ["%20a", "x" * 129, "a%E2%80%A8b"])
def test_an_id_that_cannot_be_one_is_refused(api: Api, external_id: str) -> None:
    assert list(codes(api.put(f"recipients/{external_id}/", {}))) == ["external_id"]


def test_delete_erases(api: Api) -> None:
    factories.recipient("user-42")
    factories.category("orders")
    content = {"title": "Secret", "body": "text"}
    api.post("notifications/", {"recipient": "user-42", "category": "orders", "content": content})

    assert api.delete("recipients/user-42/").status_code == 204

    assert api.get("recipients/user-42/").status_code == 404
    assert api.delete("recipients/user-42/").status_code == 404
    assert Notification.objects.get().content is None


def test_search_finds_exactly_and_by_prefix(api: Api) -> None:
    factories.recipient("shop-1")
    factories.recipient("shop-2")
    factories.recipient("other_1")

    def found(query: str) -> set[str]:
        return {row["external_id"] for row in api.get(f"recipients/?{query}").json()["results"]}

    assert found("") == {"shop-1", "shop-2", "other_1"}
    assert found("external_id=shop-2") == {"shop-2"}
    assert found("external_id_prefix=shop-") == {"shop-1", "shop-2"}
    assert found("external_id_prefix=%25") == set()
    assert found("external_id_prefix=other_") == {"other_1"}


class TestLookup:
    @pytest.fixture(autouse=True)
    def _people(self) -> None:
        factories.recipient("shop-1", email="Ada@example.com", phone="+4915112345678")
        factories.recipient("shop-2", email="ada@example.com", phone="")
        factories.recipient("shop-3", email="", phone="")

    @pytest.mark.parametrize(
        ("asked", "found"),
        [
            ({"email": " ADA@EXAMPLE.COM "}, ["shop-2", "shop-1"]),
            ({"phone": "+49 151 12345678"}, ["shop-1"]),
            ({"email": "ada@example.com", "phone": "+4915112345678"}, ["shop-1"]),
            ({"email": "grace@example.com"}, []),
        ],
    )
    def test_finds_everyone_who_has_exactly_this_address(
        self, api: Api, asked: dict[str, str], found: list[str]
    ) -> None:
        answer = api.post("recipients/lookup/", asked)

        assert answer.status_code == 200
        assert [row["external_id"] for row in answer.json()["results"]] == found

    def test_is_in_pages_whose_address_lines_name_nobody(self, api: Api) -> None:
        first = api.post("recipients/lookup/?limit=1", {"email": "ada@example.com"}).json()
        rest = api.post(
            f"recipients/lookup/?limit=1&cursor={first['next_cursor']}", {"email": "ada@example.com"}
        ).json()

        assert [row["external_id"] for row in first["results"] + rest["results"]] == ["shop-2", "shop-1"]
        assert rest["next_cursor"] is None

    @pytest.mark.parametrize(
        ("asked", "pointer"),
        [
            ({}, ""),
            ({"phone": "x"}, "/phone"),
            ({"email": ""}, "/email"),
            ({"email": " "}, "/email"),
            ({"phone": "\t"}, "/phone"),
            ({"email": "ada@example.com", "phone": " "}, "/phone"),
            ({"external_id": "shop-1"}, "/external_id"),
        ],
    )
    def test_what_is_no_address_is_pointed_at(self, api: Api, asked: dict[str, str], pointer: str) -> None:
        assert list(codes(api.post("recipients/lookup/", asked))) == [pointer]

    @pytest.mark.parametrize("query", ["email=ada@example.com", "phone=%2B4915112345678"])
    def test_is_not_done_by_an_address_line(self, api: Api, query: str) -> None:
        assert api.get(f"recipients/?{query}").status_code == 422

    def test_reading_is_enough(self) -> None:
        asked = {"email": "ada@example.com"}
        assert Api(scopes=["recipients:read"]).post("recipients/lookup/", asked).status_code == 200
        assert Api(scopes=["recipients:write"]).post("recipients/lookup/", asked).status_code == 403


def test_pages_are_bounded_and_complete(api: Api) -> None:
    factories.recipients(5)

    first = api.get("recipients/?limit=3").json()
    rest = api.get(f"recipients/?limit=3&cursor={first['next_cursor']}").json()

    assert len({row["external_id"] for row in first["results"] + rest["results"]}) == 5
    assert rest["next_cursor"] is None
    assert codes(api.get("recipients/?limit=101")) == {"limit": "range"}


def test_bulk_upserts_and_counts(api: Api) -> None:
    factories.recipient("user-1", name="Old")
    factories.recipient("user-2", name="Same")
    items = [
        {"external_id": "user-1", "name": "New"},
        {"external_id": "user-2", "name": "Same"},
        {"external_id": "user-3", **ADA},
    ]

    response = api.post("recipients/bulk/", {"recipients": items})

    assert (response.status_code, response.json()) == (200, {"created": 1, "updated": 1, "unchanged": 1})
    assert Recipient.objects.get(external_id="user-1").name == "New"


def test_bulk_with_a_fault_changes_nothing_and_points_at_each(api: Api) -> None:
    items = [{"external_id": "user-1"}, {"external_id": "user-2", "email": "x", "phone": "y"}]

    found = codes(api.post("recipients/bulk/", {"recipients": items}))

    assert set(found) == {"/recipients/1/email", "/recipients/1/phone"}
    assert not Recipient.objects.exists()


@pytest.mark.parametrize("count", [0, 1001])
def test_bulk_takes_1_to_1000(api: Api, count: int) -> None:
    assert list(codes(api.post("recipients/bulk/", {"recipients": [{"external_id": "x"}] * count}))) == ["/recipients"]


def test_a_new_address_is_used_at_once(api: Api) -> None:
    factories.recipient("user-42", email="")
    assert not PreferencesService().reach(["user-42"])["user-42"].has_email

    api.patch("recipients/user-42/", {"email": "ada@example.com"})

    assert PreferencesService().reach(["user-42"])["user-42"].has_email


NIGHT = {"start": "22:00", "end": "07:30"}


class TestQuietHours:
    def test_are_kept_by_a_change_and_cleared_by_null_and_by_a_replacement(self, api: Api) -> None:
        assert api.put("recipients/user-42/", {"quiet_hours": NIGHT}).json()["quiet_hours"] == NIGHT
        assert api.patch("recipients/user-42/", {"name": "Ada"}).json()["quiet_hours"] == NIGHT
        assert api.get("recipients/user-42/").json()["quiet_hours"] == NIGHT
        assert api.patch("recipients/user-42/", {"quiet_hours": None}).json()["quiet_hours"] is None
        api.patch("recipients/user-42/", {"quiet_hours": NIGHT})
        assert api.put("recipients/user-42/", {}).json()["quiet_hours"] is None

    def test_none_at_all_is_another_answer_than_none_of_their_own(self, api: Api) -> None:
        assert api.put("recipients/user-42/", {"quiet_hours": "none"}).json()["quiet_hours"] == "none"
        assert api.patch("recipients/user-42/", {"name": "Ada"}).json()["quiet_hours"] == "none"
        assert api.patch("recipients/user-42/", {"quiet_hours": None}).json()["quiet_hours"] is None

    def test_are_taken_in_bulk(self, api: Api) -> None:
        items = [{"external_id": "a", "quiet_hours": NIGHT}, {"external_id": "b"}]

        assert api.post("recipients/bulk/", {"recipients": items}).json()["created"] == 2
        again = api.post("recipients/bulk/", {"recipients": items}).json()

        assert again == {"created": 0, "updated": 0, "unchanged": 2}
        assert api.get("recipients/a/").json()["quiet_hours"] == NIGHT

    @pytest.mark.parametrize(
        ("given", "pointer"),
        [
            ({"start": "25:00", "end": "07:00"}, "/quiet_hours/start"),
            ({"start": "22:00", "end": "7:00"}, "/quiet_hours/end"),
            ({"start": "22:00"}, "/quiet_hours"),
            ({"start": "22:00", "end": "22:00"}, "/quiet_hours"),
            ("22:00-07:00", "/quiet_hours"),
        ],
    )
    def test_that_cannot_be_taken_are_pointed_at(self, api: Api, given: Any, pointer: str) -> None:
        response = api.put("recipients/user-42/", {"quiet_hours": given})

        assert response.status_code == 422
        assert [error["pointer"] for error in response.json()["errors"]] == [pointer]
        assert not Recipient.objects.exists()
