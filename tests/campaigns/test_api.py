"""Campaigns over the API: the same rules, the same words, as the account that a key belongs to."""

from typing import Any

import pytest
from django.contrib.auth.models import Group, User

from campaigns.models import Campaign, CampaignEvent, RecipientList, Segment
from campaigns.services import AudienceService
from tests import factories
from tests.api import Api, codes
from tests.campaigns.conftest import hand_out, work

pytestmark = pytest.mark.django_db


def owned(*groups: str) -> Api:
    user = User.objects.create_user("-".join(groups))
    user.groups.set(Group.objects.filter(name__in=[f"Campaign {group}" for group in groups]))
    return Api(owner=user)


@pytest.fixture
def author() -> Api:
    return owned("authors")


@pytest.fixture
def body() -> dict[str, Any]:
    """A draft that is fine."""
    factories.template("sale")
    factories.category("news", channels=["email", "in_app"], default_priority="low")
    factories.recipients(3)
    return {"name": "Sale", "template": "sale", "category": "news", "data": {"order": "A17"}}


class TestDrafts:
    def test_one_is_made_read_changed_and_deleted(self, author, body):
        made = author.post("campaigns/", body)
        assert made.status_code == 201
        id = made.json()["id"]
        assert (made.json()["status"], made.json()["created_by"]) == ("draft", "authors")

        assert author.get(f"campaigns/{id}/").json() == made.json()
        changed = author.patch(f"campaigns/{id}/", {"name": "Big sale", "throttle_per_minute": 500}).json()
        assert (changed["name"], changed["throttle_per_minute"], changed["data"]) == ("Big sale", 500, {"order": "A17"})
        assert [one["id"] for one in author.get("campaigns/").json()["results"]] == [id]
        assert author.delete(f"campaigns/{id}/").status_code == 204
        assert author.get(f"campaigns/{id}/").status_code == 404

    def test_everything_that_can_be_said_comes_back(self, author, body):
        factories.template("short")
        segment = Segment.objects.create(name="All")
        left_out = RecipientList.objects.create(name="Staff")
        full = {
            **body, "channels": ["email"], "priority": "normal", "utm_source": "letter", "audience": "segment",
            "segment": segment.pk, "exclude_lists": [left_out.pk], "schedule": "recurring", "recurrence": "weekly",
            "recurs_on": [1, 5], "local_time": "09:30:00", "recurrence_zone": "Europe/Berlin",
            "recurs_until": "2030-12-31", "throttle_per_minute": 1000, "canary_percent": 1, "canary_minutes": 15,
            "canary_max_failures": 2, "winner_metric": "clicked", "test_percent": 20, "decide_after_minutes": 60,
            "variants": [{"template": "sale", "weight": 40}, {"template": "short", "weight": 60}],
        }  # fmt: skip

        made = author.post("campaigns/", full)

        assert made.status_code == 201, made.content
        assert {name: made.json()[name] for name in full} == full

    def test_a_change_of_one_thing_leaves_the_rest(self, author, body):
        people = {"audience": "list", "recipients": ["person-0", "person-2"], "schedule": "at",
                  "send_at": "2030-07-01T09:00:00+02:00"}  # fmt: skip
        id = author.post("campaigns/", {**body, **people}).json()["id"]

        changed = author.patch(f"campaigns/{id}/", {"name": "Other"}).json()

        assert (changed["audience"], changed["send_at"]) == ("list", "2030-07-01T07:00:00Z")
        assert AudienceService().size(Campaign.objects.get(pk=id)) == 2

    @pytest.mark.parametrize(
        ("wrong", "found"),
        [
            ({"template": "moon"}, {"/template": "unknown"}),
            ({"category": "moon"}, {"/category": "unknown"}),
            ({"audience": "segment"}, {"/segment": "invalid"}),
            ({"audience": "list", "recipients": ["moon"]}, {"/recipients": "invalid"}),
            ({"channels": ["fax"]}, {"/channels/0": "invalid"}),
            ({"canary_percent": 51}, {"/canary_percent": "range"}),
            ({"recurrence_zone": "Moon/Base"}, {"/recurrence_zone": "invalid"}),
            ({"variants": [{"template": "moon", "weight": 50}]}, {"/variants/0/template": "unknown"}),
            ({"send_at": "2030-07-01T09:00:00"}, {"/send_at": "naive"}),
            ({"color": "red"}, {"/color": "unknown_field"}),
            ({"name": ""}, {"/name": "length"}),
        ],
    )
    def test_what_is_wrong_is_said_with_its_place(self, author, body, wrong, found):
        assert codes(author.post("campaigns/", {**body, **wrong})) == found
        assert not Campaign.objects.exists()

    def test_what_is_no_draft_is_not_changed(self, author, body):
        id = author.post("campaigns/", body).json()["id"]
        author.post(f"campaigns/{id}/submit/")

        assert author.patch(f"campaigns/{id}/", {"name": "Hijacked"}).status_code == 409
        assert author.delete(f"campaigns/{id}/").status_code == 409
        assert Campaign.objects.get().name == "Sale"

    def test_who_writes_no_campaigns_writes_none_by_a_key(self, body):
        answer = owned("viewers").post("campaigns/", body)

        assert (answer.status_code, answer.json()["type"]) == (403, "urn:carillon:problem:not-allowed")


def test_three_keys_take_a_campaign_to_its_end(author, body, provider, settings):
    settings.CAMPAIGN_REVIEW_ABOVE, settings.CAMPAIGN_TYPE_ABOVE = 1, 2
    approver, operator = owned("approvers"), owned("operators")
    id = author.post("campaigns/", body).json()["id"]

    assert author.post(f"campaigns/{id}/submit/").json()["status"] == "in_review"
    assert author.post(f"campaigns/{id}/approve/").status_code == 403
    assert approver.post(f"campaigns/{id}/approve/").json()["status"] == "approved"
    silent = operator.post(f"campaigns/{id}/launch/", {})
    assert (silent.status_code, "Type the number" in silent.json()["detail"]) == (422, True)
    assert operator.post(f"campaigns/{id}/launch/", {"people": 3}).json()["status"] == "sending"
    assert operator.post(f"campaigns/{id}/pause/").json()["status"] == "paused"
    assert operator.post(f"campaigns/{id}/pause/").status_code == 409
    assert operator.post(f"campaigns/{id}/resume/").json()["status"] == "sending"
    hand_out(Campaign.objects.get())
    work()

    assert author.get(f"campaigns/{id}/").json()["status"] == "completed"
    figures = author.get(f"campaigns/{id}/figures/").json()
    assert (figures["people"]["reached"], figures["messages"]["sent"]) == (3, 6)
    trail = author.get(f"campaigns/{id}/events/?limit=100").json()["results"]
    assert [(one["action"], one["by"]) for one in reversed(trail)][:4] == [
        ("created", "authors"), ("submitted", "authors"), ("approved", "approvers"), ("started", "operators"),
    ]  # fmt: skip


def test_a_plan_says_what_would_happen(author, body):
    id = author.post("campaigns/", {**body, "throttle_per_minute": 1}).json()["id"]

    plan = author.get(f"campaigns/{id}/plan/").json()

    assert (plan["people"], plan["is_exact"], plan["problems"]) == (3, True, [])
    assert {one["key"]: one["reachable"] for one in plan["channels"]} == {"email": 3, "in_app": 3}
    assert "about 3 minutes" in plan["pace"]


def test_it_is_sent_back_with_a_note(author, body):
    id = author.post("campaigns/", body).json()["id"]
    author.post(f"campaigns/{id}/submit/")

    back = owned("approvers").post(f"campaigns/{id}/send-back/", {"note": "Too loud."}).json()

    assert (back["status"], back["review_note"]) == ("draft", "Too loud.")


def test_a_copy_is_the_answer(author, body):
    id = author.post("campaigns/", body).json()["id"]

    copy = author.post(f"campaigns/{id}/duplicate/").json()

    assert (copy["id"] != id, copy["status"], copy["data"]) == (True, "draft", {"order": "A17"})
    assert CampaignEvent.objects.filter(campaign_id=copy["id"], action="created").exists()


def test_the_list_is_narrowed(author, body):
    one, other = (author.post("campaigns/", {**body, "name": name}).json()["id"] for name in ("A", "B"))
    author.post(f"campaigns/{one}/submit/")
    author.post(f"campaigns/{other}/archive/")

    def listed(query: str) -> list[int]:
        return [row["id"] for row in author.get(f"campaigns/?{query}").json()["results"]]

    assert (listed(""), listed("status=in_review"), listed("archived=true")) == ([one], [one], [other])
    assert codes(author.get("campaigns/?status=moon")) == {"status": "invalid"}


def test_a_draft_has_no_figures(author, body):
    id = author.post("campaigns/", body).json()["id"]

    assert author.get(f"campaigns/{id}/figures/").status_code == 409


@pytest.mark.parametrize("path", ["", "plan/", "figures/", "events/"])
def test_a_campaign_that_is_not_there_is_not_found(author, path):
    assert author.get(f"campaigns/4711/{path}").status_code == 404
