from typing import Any

import pytest

from preferences.choices import Channel
from preferences.services import PreferencesService
from tests import factories
from tests.api import Api, codes

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def people(db: None) -> None:
    factories.recipient("user-42")
    factories.category("offers")
    factories.category("orders")
    factories.category("security", is_required=True)


def matrix(api: Api, external_id: str = "user-42") -> dict[str, dict[str, Any]]:
    """Category -> channel -> (enabled, source)."""
    return cells(api.get(f"recipients/{external_id}/preferences/").json())


def cells(answer: Any) -> dict[str, dict[str, Any]]:
    return {
        row["category"]: {name: (cell["enabled"], cell["source"]) for name, cell in row["channels"].items()}
        for row in answer["categories"]
    }


def word(channel: str, enabled: bool | None, category: str | None = None) -> dict[str, Any]:
    return {"channel": channel, "enabled": enabled, "category": category}


def test_who_said_nothing_wants_everything(api: Api) -> None:
    assert set(matrix(api)["offers"].values()) == {(True, "default")}
    assert set(matrix(api)["security"].values()) == {(True, "required")}


def test_the_narrower_word_wins(api: Api) -> None:
    words = [word("push", False), word("push", True, "orders"), word("sms", False, "offers")]

    shown = cells(api.patch("recipients/user-42/preferences/", {"preferences": words}).json())

    assert shown["offers"]["push"] == (False, "channel")
    assert shown["orders"]["push"] == (True, "category")
    assert shown["offers"]["sms"] == (False, "category")
    assert shown["security"]["push"] == (True, "required")


def test_the_matrix_says_what_routing_does(api: Api) -> None:
    words = [word("push", False), word("push", True, "orders"), word("sms", False, "offers"), word("email", False)]
    api.patch("recipients/user-42/preferences/", {"preferences": words})

    service = PreferencesService()
    reach = service.reach(["user-42"])["user-42"]
    for slug, info in service.categories().items():
        for channel in Channel.values:
            assert matrix(api)[slug][channel][0] == reach.allows(channel, info.id, info.is_required, info.is_marketing)


def test_a_word_can_be_taken_back(api: Api) -> None:
    api.patch("recipients/user-42/preferences/", {"preferences": [word("sms", False, "offers")]})

    api.patch("recipients/user-42/preferences/", {"preferences": [word("sms", None, "offers")]})

    assert matrix(api)["offers"]["sms"] == (True, "default")


def test_put_takes_back_what_it_does_not_say(api: Api) -> None:
    api.patch("recipients/user-42/preferences/", {"preferences": [word("sms", False, "offers"), word("push", False)]})

    shown = cells(api.put("recipients/user-42/preferences/", {"preferences": [word("email", False)]}).json())

    assert shown["offers"]["sms"] == (True, "default")
    assert shown["offers"]["push"] == (True, "default")
    assert shown["offers"]["email"] == (False, "channel")


def test_all_marketing_is_a_word_of_its_own(api: Api) -> None:
    factories.category("news", purpose="marketing")
    no = {"marketing": True, "channel": "email", "enabled": False}

    answer = api.patch("recipients/user-42/preferences/", {"preferences": [no]}).json()

    assert answer["marketing"]["email"] == {"enabled": False, "source": "marketing"}
    assert answer["marketing"]["sms"] == {"enabled": True, "source": "default"}
    assert cells(answer)["news"]["email"] == (False, "marketing")
    assert cells(answer)["orders"]["email"] == (True, "default")
    yes = {"marketing": True, "channel": "email", "enabled": None}
    assert cells(api.patch("recipients/user-42/preferences/", {"preferences": [yes]}).json())["news"]["email"][0]
    api.patch("recipients/user-42/preferences/", {"preferences": [no]})
    assert cells(api.put("recipients/user-42/preferences/", {"preferences": []}).json())["news"]["email"][0]


def test_an_empty_put_takes_back_everything(api: Api) -> None:
    api.patch("recipients/user-42/preferences/", {"preferences": [word("sms", False, "offers")]})

    assert api.put("recipients/user-42/preferences/", {"preferences": []}).status_code == 200

    assert set(matrix(api)["offers"].values()) == {(True, "default")}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/preferences"),
        ({"preferences": {}}, "/preferences"),
        ({"preferences": [word("fax", True)]}, "/preferences/0/channel"),
        ({"preferences": [word("sms", True), word("sms", True, "none")]}, "/preferences/1/category"),
        ({"preferences": [word("sms", False, "security")]}, "/preferences/0/enabled"),
        ({"preferences": [{"channel": "sms"}]}, "/preferences/0/enabled"),
        ({"preferences": [{**word("sms", False, "offers"), "marketing": True}]}, "/preferences/0/marketing"),
        ({"preferences": [{"channel": "sms", "enabled": "no"}]}, "/preferences/0/enabled"),
        ({"preferences": [word("sms", True)] * 1001}, "/preferences"),
    ],
)
def test_a_fault_is_422_with_its_pointer(api: Api, body: Any, pointer: str) -> None:
    for method in ("PUT", "PATCH"):
        assert list(codes(api.call(method, "recipients/user-42/preferences/", body))) == [pointer]


def test_one_person_s_words_leave_another_s_alone(api: Api) -> None:
    factories.recipient("user-43")

    api.patch("recipients/user-42/preferences/", {"preferences": [word("sms", False)]})

    assert matrix(api, "user-43")["offers"]["sms"] == (True, "default")


def test_nobody_s_preferences_are_404(api: Api) -> None:
    assert api.get("recipients/nobody/preferences/").status_code == 404
    for method in ("PUT", "PATCH"):
        assert api.call(method, "recipients/nobody/preferences/", {"preferences": []}).status_code == 404
