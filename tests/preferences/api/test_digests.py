from typing import Any

import pytest

from preferences.models import Category, DigestChoice
from tests import factories
from tests.api import Api, codes

pytestmark = pytest.mark.django_db
URL = "recipients/user-42/preferences/digests/"


@pytest.fixture(autouse=True)
def people(db: None) -> None:
    factories.recipient("user-42")
    factories.category("comments", digest_mode="sliding", digest_window_seconds=300, digest_cap_seconds=3600)
    factories.category("orders")
    factories.category("security", is_required=True)


def held(answer: Any) -> dict[str, tuple[str, str, str]]:
    return {
        row["category"]: (row["digest"]["rhythm"], row["digest"]["source"], row["digest"]["says"])
        for row in answer["categories"]
    }


class TestWords:
    def test_who_said_nothing_has_what_the_categories_do(self, api: Api) -> None:
        answer = api.get(URL).json()

        assert answer["all"]["source"] == "default"
        assert held(answer) == {
            "comments": (
                "default",
                "default",
                "Gathered until 5 minutes pass without another, for 1 hour at most",
            ),
            "orders": ("default", "default", "As it comes"),
            "security": ("as_it_comes", "required", "As it comes"),
        }

    def test_patch_sets_and_takes_back(self, api: Api) -> None:
        words = [
            {"category": None, "rhythm": "weekly", "at": "18:30", "weekday": 4},
            {"category": "orders", "rhythm": "hourly"},
        ]
        answer = api.patch(URL, {"digests": words}).json()

        assert answer["all"] == {
            "rhythm": "weekly", "at": "18:30", "weekday": 4, "source": "all", "says": "Fridays at 18:30",
        }  # fmt: skip
        assert held(answer)["comments"] == ("weekly", "all", "Fridays at 18:30")
        assert held(answer)["orders"] == ("hourly", "category", "Gathered for 1 hour")
        assert held(answer)["security"][1] == "required"

        again = api.patch(URL, {"digests": [{"category": "orders", "rhythm": None}]}).json()
        assert held(again)["orders"] == ("weekly", "all", "Fridays at 18:30")

    def test_put_takes_back_what_is_not_given(self, api: Api) -> None:
        api.patch(URL, {"digests": [{"rhythm": "daily"}, {"category": "orders", "rhythm": "hourly"}]})

        answer = api.put(URL, {"digests": [{"category": "comments", "rhythm": "daily"}]}).json()

        assert held(answer)["comments"] == ("daily", "category", "Every day at 09:00")
        assert held(answer)["orders"][1] == "default"
        assert DigestChoice.objects.count() == 1

    @pytest.mark.parametrize(
        ("word", "pointer"),
        [
            ({"category": "orders"}, "/digests/0/rhythm"),
            ({"category": "orders", "rhythm": "monthly"}, "/digests/0/rhythm"),
            ({"category": "nothing", "rhythm": "daily"}, "/digests/0/category"),
            ({"category": "security", "rhythm": "daily"}, "/digests/0/rhythm"),
            ({"rhythm": "daily", "at": "25:00"}, "/digests/0/at"),
            ({"rhythm": "daily", "weekday": 3}, "/digests/0/weekday"),
            ({"rhythm": "weekly", "weekday": 9}, "/digests/0/weekday"),
        ],
    )
    def test_a_fault_is_pointed_at(self, api: Api, word: dict[str, Any], pointer: str) -> None:
        assert list(codes(api.patch(URL, {"digests": [word]}))) == [pointer]

    def test_nobody_is_not_found(self, api: Api) -> None:
        assert api.get("recipients/nobody/preferences/digests/").status_code == 404
        assert api.patch("recipients/nobody/preferences/digests/", {"digests": []}).status_code == 404


class TestCategories:
    def test_a_digest_is_set_and_shown(self, api: Api) -> None:
        factories.template("gathered", name="Gathered")
        digest = {"mode": "local_time", "at": "07:15", "weekdays": [0, 3], "template": "gathered"}

        made = api.post("categories/", {"slug": "activity", "name": "Activity", "digest": digest}).json()
        changed = api.patch("categories/activity/", {"digest": {"at": "08:00", "first_at_once": True}}).json()

        assert made["digest"] == {
            "mode": "local_time", "window_seconds": 3600, "cap_seconds": 14400, "at": "07:15", "weekdays": [0, 3],
            "first_at_once": False, "template": "gathered", "channels": ["push", "email", "sms"],
        }  # fmt: skip
        assert changed["digest"] == {**made["digest"], "at": "08:00", "first_at_once": True}
        assert api.get("categories/activity/").json() == changed

    @pytest.mark.parametrize(
        ("digest", "pointer"),
        [
            ({"mode": "monthly"}, "/digest/mode"),
            ({"window_seconds": 0}, "/digest/window_seconds"),
            ({"mode": "sliding", "window_seconds": 600, "cap_seconds": 60}, "/digest/cap_seconds"),
            ({"weekdays": [1, 1]}, "/digest/weekdays"),
            ({"channels": []}, "/digest/channels"),
            ({"channels": ["email", "email"]}, "/digest/channels"),
            ({"template": "nothing"}, "/digest/template"),
            ({"at": "9"}, "/digest/at"),
            ({"window": 5}, "/digest"),
        ],
    )
    def test_what_cannot_be_is_pointed_at(self, api: Api, digest: dict[str, Any], pointer: str) -> None:
        assert list(codes(api.patch("categories/orders/", {"digest": digest}))) == [pointer]
        assert Category.objects.get(slug="orders").digest_mode == "none"

    def test_what_cannot_be_opted_out_of_is_not_gathered(self, api: Api) -> None:
        refused = api.patch("categories/comments/", {"is_required": True})

        assert codes(refused) == {"/digest/mode": "required_category"}
        assert codes(api.patch("categories/security/", {"digest": {"mode": "fixed"}})) == codes(refused)
