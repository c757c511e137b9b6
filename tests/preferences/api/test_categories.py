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
