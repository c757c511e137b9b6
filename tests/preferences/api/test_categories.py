from typing import Any

import pytest

from preferences.models import Category
from preferences.services import PreferencesService
from tests import factories
from tests.api import Api, codes

pytestmark = pytest.mark.django_db


def test_a_new_category_goes_everywhere_unless_told_otherwise(api: Api) -> None:
    response = api.post("categories/", {"slug": "orders", "name": "Orders"})

    assert response.status_code == 201
    made = response.json()
    assert made["channels"] == ["push", "email", "sms", "in_app"]
    assert (made["default_priority"], made["is_required"]) == ("normal", False)
    assert (made["purpose"], made["dedup_seconds"]) == ("transactional", 300)
    assert api.get("categories/orders/").json() == made


def test_a_new_category_is_known_to_routing(api: Api) -> None:
    assert "orders" not in PreferencesService().categories()

    api.post("categories/", {"slug": "orders", "name": "Orders", "channels": ["sms"]})

    assert PreferencesService().categories()["orders"].channels == ("sms",)


def test_a_slug_is_taken_once(api: Api) -> None:
    factories.category("orders")

    assert api.post("categories/", {"slug": "orders", "name": "Again"}).status_code == 409


def test_patch_changes_what_is_given(api: Api) -> None:
    factories.category("orders", description="kept")

    changed = api.patch("categories/orders/", {"channels": ["email"], "is_required": True}).json()

    assert (changed["channels"], changed["is_required"], changed["description"]) == (["email"], True, "kept")
    assert Category.objects.get().channels == ["email"]


def test_the_window_of_duplicates_and_the_purpose_are_written_and_routing_knows_them(api: Api) -> None:
    api.post("categories/", {"slug": "offers", "name": "Offers", "purpose": "marketing", "dedup_seconds": 0})
    made = PreferencesService().categories({"offers"})["offers"]

    changed = api.patch("categories/offers/", {"purpose": "transactional", "dedup_seconds": 604_800}).json()

    assert (made.is_marketing, made.dedup_seconds) == (True, 0)
    assert (changed["purpose"], changed["dedup_seconds"]) == ("transactional", 604_800)
    now = PreferencesService().categories()["offers"]
    assert (now.is_marketing, now.dedup_seconds) == (False, 604_800)


def test_a_window_out_of_bounds_is_refused_in_a_change_too(api: Api) -> None:
    factories.category("orders", dedup_seconds=60)

    assert codes(api.patch("categories/orders/", {"dedup_seconds": 604_801})) == {"/dedup_seconds": "range"}
    assert Category.objects.get().dedup_seconds == 60


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": "x"}, "/slug"),
        ({"slug": "a b", "name": "x"}, "/slug"),
        ({"slug": "x" * 65, "name": "x"}, "/slug"),
        ({"slug": "a", "name": ""}, "/name"),
        ({"slug": "a", "name": "x", "channels": []}, "/channels"),
        ({"slug": "a", "name": "x", "channels": ["fax"]}, "/channels/0"),
        ({"slug": "a", "name": "x", "channels": ["sms", "sms"]}, "/channels/1"),
        ({"slug": "a", "name": "x", "default_priority": "urgent"}, "/default_priority"),
        ({"slug": "a", "name": "x", "is_required": 1}, "/is_required"),
        ({"slug": "a", "name": "x", "purpose": "fun"}, "/purpose"),
        ({"slug": "a", "name": "x", "dedup_seconds": -1}, "/dedup_seconds"),
        ({"slug": "a", "name": "x", "dedup_seconds": 604_801}, "/dedup_seconds"),
        ({"slug": "a", "name": "x", "dedup_seconds": "300"}, "/dedup_seconds"),
        ({"slug": "a", "name": "x", "dedup_seconds": None}, "/dedup_seconds"),
    ],
)
def test_a_fault_is_422_with_its_pointer(api: Api, body: Any, pointer: str) -> None:
    assert list(codes(api.post("categories/", body))) == [pointer]
    assert not Category.objects.exists()


def test_categories_are_listed_by_slug_in_pages(api: Api) -> None:
    for slug in ("b", "a", "c"):
        factories.category(slug)

    first = api.get("categories/?limit=2").json()
    rest = api.get(f"categories/?limit=2&cursor={first['next_cursor']}").json()

    assert [row["slug"] for row in first["results"] + rest["results"]] == ["a", "b", "c"]


def test_an_unknown_category_is_404(api: Api) -> None:
    assert api.get("categories/none/").status_code == 404
    assert api.patch("categories/none/", {}).status_code == 404


def test_caps_and_waiting_for_quiet_hours_are_written_cleared_and_known_to_sending(api: Api) -> None:
    api.post("categories/", {"slug": "offers", "name": "Offers", "cap_per_day": 1, "waits_for_quiet_hours": False})
    made = PreferencesService().categories({"offers"})["offers"]

    changed = api.patch("categories/offers/", {"cap_per_day": None, "cap_per_week": 3}).json()

    assert (made.cap_per_day, made.cap_per_week, made.waits_for_quiet_hours) == (1, None, False)
    assert (changed["cap_per_day"], changed["cap_per_week"], changed["waits_for_quiet_hours"]) == (None, 3, False)
    now = PreferencesService().categories()["offers"]
    assert (now.cap_per_day, now.cap_per_week) == (None, 3)


@pytest.mark.parametrize("cap", [0, -1, 1001, 1.5, "many"])
def test_a_cap_that_is_none_is_pointed_at(api: Api, cap: Any) -> None:
    response = api.post("categories/", {"slug": "offers", "name": "Offers", "cap_per_week": cap})

    assert response.status_code == 422
    assert [error["pointer"] for error in response.json()["errors"]] == ["/cap_per_week"]
