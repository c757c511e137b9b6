"""Segments and lists over the API: what a service can do, and how it is refused."""

import pytest

from campaigns.models import RecipientList, Segment
from campaigns.segments.lists import MAX_IDS
from tests import factories
from tests.api import Api, codes, pointers
from tests.campaigns.segments.people import condition

pytestmark = pytest.mark.django_db

PRO = {"all": [condition("attributes.plan", "is", "pro")]}


@pytest.fixture
def api() -> Api:
    return Api()


class TestSegments:
    def test_are_created_read_changed_and_deleted(self, api):
        made = api.post("segments/", {"name": "Pros", "definition": PRO})
        assert made.status_code == 201
        path = f"segments/{made.json()['id']}/"
        assert api.get(path).json()["definition"] == PRO
        assert [one["name"] for one in api.get("segments/").json()["results"]] == ["Pros"]

        changed = api.patch(path, {"definition": {}})
        assert (changed.json()["name"], changed.json()["definition"]) == ("Pros", {})

        assert api.delete(path).status_code == 204
        assert api.get(path).status_code == 404

    def test_a_wrong_definition_is_pointed_at(self, api):
        wrong = {"all": [condition("name", "is", "x"), {"any": [condition("name", "resembles", "x")]}]}

        assert pointers(api.post("segments/", {"name": "Odd", "definition": wrong})) == ["/definition/all/1/any/0/op"]
        assert pointers(api.post("segments/estimate/", {"definition": wrong})) == ["/definition/all/1/any/0/op"]
        assert codes(api.post("segments/", {"name": "", "definition": [], "x": 1})) == {
            "/name": "length", "/definition": "type", "/x": "unknown_field",
        }  # fmt: skip
        assert not Segment.objects.exists()

    def test_a_name_is_taken_once(self, api):
        api.post("segments/", {"name": "Pros", "definition": {}})
        other = api.post("segments/", {"name": "Others", "definition": {}}).json()["id"]

        assert api.post("segments/", {"name": "Pros", "definition": {}}).status_code == 409
        assert api.patch(f"segments/{other}/", {"name": "Pros"}).status_code == 409

    def test_are_counted_and_sampled(self, api):
        factories.recipient("ada", name="Ada", locale="en", attributes={"plan": "pro"})
        factories.recipient("bob")

        assert api.post("segments/estimate/", {"definition": PRO}).json() == {"people": 1, "is_exact": True}
        assert api.post("segments/sample/", {"definition": PRO}).json() == {
            "results": [{"external_id": "ada", "name": "Ada", "locale": "en"}]
        }
        assert len(api.post("segments/sample/", {"definition": {}, "limit": 1}).json()["results"]) == 1
        assert codes(api.post("segments/sample/", {"definition": {}, "limit": 51})) == {"/limit": "range"}

    def test_people_are_named_to_keys_alone_that_may_read_them(self):
        key = Api(scopes=["segments:read", "segments:write"])
        list_id = key.post("lists/", {"name": "VIPs"}).json()["id"]

        assert key.post("segments/estimate/", {"definition": {}}).status_code == 200
        assert key.post("segments/sample/", {"definition": {}}).status_code == 403
        assert key.get(f"lists/{list_id}/members/").status_code == 403
        assert Api(scopes=["segments:read"]).post("segments/", {"name": "x", "definition": {}}).status_code == 403


class TestLists:
    def test_people_are_put_on_and_taken_off(self, api):
        factories.recipients(3)
        path = f"lists/{api.post('lists/', {'name': 'VIPs'}).json()['id']}/"

        added = api.post(f"{path}members/", {"external_ids": ["person-0", "person-1", "person-1", "nobody"]}).json()
        assert added == {"changed": 2, "unchanged": 0, "unknown": ["nobody"], "size": 2}
        again = api.post(f"{path}members/", {"external_ids": ["person-1", "person-2"]}).json()
        assert again == {"changed": 1, "unchanged": 1, "unknown": [], "size": 3}
        gone = api.post(f"{path}members/remove/", {"external_ids": ["person-0", "nobody"]}).json()
        assert gone == {"changed": 1, "unchanged": 0, "unknown": ["nobody"], "size": 2}

        assert sorted(api.get(f"{path}members/").json()["results"]) == ["person-1", "person-2"]
        assert api.get(path).json()["size"] == 2

    def test_members_come_in_pages(self, api):
        factories.recipients(5)
        path = f"lists/{api.post('lists/', {'name': 'VIPs'}).json()['id']}/members/"
        api.post(path, {"external_ids": [f"person-{n}" for n in range(5)]})

        first = api.get(f"{path}?limit=3").json()
        second = api.get(f"{path}?limit=3&cursor={first['next_cursor']}").json()

        assert sorted(first["results"] + second["results"]) == [f"person-{n}" for n in range(5)]
        assert second["next_cursor"] is None

    def test_a_batch_is_bounded(self, api):
        path = f"lists/{api.post('lists/', {'name': 'VIPs'}).json()['id']}/members/"

        assert codes(api.post(path, {"external_ids": [f"u{n}" for n in range(MAX_IDS + 1)]})) == {
            "/external_ids": "length"
        }
        assert codes(api.post(path, {"external_ids": []})) == {"/external_ids": "length"}

    def test_a_list_that_a_segment_names_stays(self, api):
        path = f"lists/{api.post('lists/', {'name': 'VIPs'}).json()['id']}/"
        asked = {"all": [condition("list", "in", RecipientList.objects.get().pk)]}
        api.post("segments/", {"name": "VIPs of ours", "definition": asked})

        refused = api.delete(path)

        assert refused.status_code == 409
        assert "VIPs of ours" in refused.json()["detail"]
        assert RecipientList.objects.exists()
