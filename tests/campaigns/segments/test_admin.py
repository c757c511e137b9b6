"""The pages of segments and lists: who may do what, what they refuse, and what they come to."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils.timezone import now

from campaigns.models import ListUpload, ListUploadPart, RecipientList, RecipientListMember, Segment
from campaigns.segments import reading, uploads
from campaigns.segments.lists import ListService
from campaigns.segments.models import UploadState
from campaigns.segments.reading import read_waiting
from tests import factories
from tests.campaigns.segments.people import condition

pytestmark = pytest.mark.django_db

SEGMENTS, LISTS = "/admin/campaigns/segment/", "/admin/campaigns/recipientlist/"
PREVIEW = f"{SEGMENTS}preview/"
PRO = {"all": [condition("attributes.plan", "is", "pro")]}


def sign_in(*permissions: str) -> Client:
    user = User.objects.create_user(f"user-{User.objects.count()}", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def manager() -> Client:
    kinds = ("segment", "recipientlist")
    return sign_in(
        "view_recipient", *(f"{what}_{kind}" for kind in kinds for what in ("add", "change", "view", "delete"))
    )


@pytest.fixture
def viewer() -> Client:
    return sign_in("view_segment", "view_recipientlist")


def asked(client: Client, definition: Any, query: str = "") -> Any:
    return client.post(PREVIEW + query, json.dumps(definition), content_type="application/json")


def told(answer: Any) -> str:
    return " ".join(str(message) for message in answer.context["messages"])


class TestSegments:
    def test_is_written_with_its_count(self, manager):
        factories.recipient("ada", attributes={"plan": "pro"})
        factories.recipient("bob")

        answer = manager.post(f"{SEGMENTS}add/", {"name": "Pros", "description": "", "definition": json.dumps(PRO)})

        assert answer.status_code == 302, answer.context["adminform"].form.errors
        made = Segment.objects.get()
        assert (made.definition, made.people, made.is_exact) == (PRO, 1, True)
        assert made.created_by is not None
        assert "plan is “pro”" in manager.get(SEGMENTS).content.decode()

    def test_a_change_is_counted_anew(self, manager):
        factories.recipients(3)
        segment = Segment.objects.create(name="Pros", definition=PRO, people=77)

        manager.post(f"{SEGMENTS}{segment.pk}/change/", {"name": "All", "description": "x", "definition": ""})

        segment.refresh_from_db()
        assert (segment.name, segment.definition, segment.people) == ("All", {}, 3)

    @pytest.mark.parametrize("given", ["{", "[]", '"x"', '{"all": []}', '{"all": [{"field": "x"}]}', "\x00", "\ud800"])
    def test_what_cannot_be_used_is_said_beside_the_field(self, manager, given):
        answer = manager.post(f"{SEGMENTS}add/", {"name": "Odd", "definition": given.encode(errors="replace").decode()})

        assert answer.status_code == 200
        assert answer.context["adminform"].form.errors["definition"]
        assert not Segment.objects.exists()

    def test_a_name_is_taken_once(self, manager):
        Segment.objects.create(name="Pros")

        answer = manager.post(f"{SEGMENTS}add/", {"name": "Pros", "definition": "{}"})

        assert "name" in answer.context["adminform"].form.errors

    def test_is_deleted_when_nothing_uses_it(self, manager):
        segment = Segment.objects.create(name="Pros")
        remove = f"{SEGMENTS}{segment.pk}/remove/"

        assert manager.get(remove).status_code == 200
        assert Segment.objects.exists()
        manager.post(remove, {"confirmed": "1"})
        assert not Segment.objects.exists()

    def test_those_who_may_only_look_change_nothing(self, viewer):
        segment = Segment.objects.create(name="Pros", definition=PRO)
        page = f"{SEGMENTS}{segment.pk}/change/"

        assert viewer.get(page).status_code == 200
        assert viewer.post(page, {"name": "x", "definition": "{}"}).status_code == 403
        assert viewer.post(f"{SEGMENTS}{segment.pk}/remove/", {"confirmed": "1"}).status_code == 403
        assert Segment.objects.get().name == "Pros"


class TestPreview:
    def test_counts_and_shows_some(self, manager):
        factories.recipient("ada", name="Ada", attributes={"plan": "pro"})
        factories.recipient("bob")

        answer = asked(manager, PRO).json()

        assert (answer["people"], answer["is_exact"], answer["words"]) == (1, True, "1")
        assert [one["external_id"] for one in answer["sample"]] == ["ada"]

    def test_people_are_shown_to_those_alone_who_may_see_people(self, viewer):
        factories.recipient("ada", attributes={"plan": "pro"})

        answer = asked(viewer, PRO).json()

        assert (answer["people"], answer["sample"]) == (1, None)

    def test_says_where_something_is_wrong(self, manager):
        answer = asked(manager, {"all": [condition("name", "is", "x"), condition("name", "is")]})

        assert answer.json() == {"errors": [{"at": "/all/1/value", "message": "Fill in a value."}]}

    @pytest.mark.parametrize("body", [b"{", b"\xff", b"[]", b'{"a": "\\u0000"}', b"[" * 5000])
    def test_what_is_no_definition_is_an_answer_too(self, manager, body):
        answer = manager.post(PREVIEW, body, content_type="application/json")

        assert answer.status_code == 200
        assert answer.json()["errors"][0]["message"]

    def test_a_count_is_remembered_for_the_segment_that_says_the_same(self, manager):
        factories.recipients(2)
        segment = Segment.objects.create(name="Pros", definition=PRO)

        asked(manager, {}, f"?segment={segment.pk}")
        assert Segment.objects.get().people is None
        asked(manager, PRO, f"?segment={segment.pk}")
        assert Segment.objects.get().people == 0

    def test_is_for_those_who_may_look_at_segments(self):
        assert asked(sign_in("view_campaign"), {}).status_code == 403
        assert Client().post(PREVIEW, "{}", content_type="application/json").status_code == 302


@pytest.fixture
def vips() -> RecipientList:
    return ListService().create("VIPs", by=None)


def members(of: RecipientList) -> set[str]:
    found = set(RecipientListMember.objects.filter(list=of).values_list("recipient__external_id", flat=True))
    of.refresh_from_db()
    assert of.size == len(found)
    return found


class TestLists:
    def test_people_are_pasted_and_taken_off(self, manager, vips):
        factories.recipients(3)
        page = f"{LISTS}{vips.pk}/people/"

        done = manager.post(page, {"what": "add", "ids": "person-0\n person-1 \n\nperson-1\nnobody"}, follow=True)
        assert members(vips) == {"person-0", "person-1"}
        assert "2 people put on the list" in told(done)
        assert "Nobody has this id: nobody" in told(done)

        done = manager.post(page, {"what": "remove", "ids": "person-1\nperson-2"}, follow=True)
        assert members(vips) == {"person-0"}
        assert "1 person taken off the list, 1 was not on it" in told(done)

    def test_members_are_shown_page_by_page_to_those_who_may_see_people(self, manager, viewer, vips):
        people = factories.recipients(60)
        ListService().add(vips.pk, [person.external_id for person in people])
        page = f"{LISTS}{vips.pk}/change/"

        first = manager.get(page).context
        second = manager.get(page, {"after": str(first["next"])}).context

        assert (len(first["members"]), len(second["members"]), second["next"]) == (50, 10, None)
        assert "members" not in viewer.get(page).context
        assert manager.get(page, {"after": "x"}).status_code == 200

    def test_what_a_segment_names_is_not_deleted(self, manager, vips):
        Segment.objects.create(name="Not VIPs", definition={"all": [condition("list", "not_in", vips.pk)]})

        done = manager.post(f"{LISTS}{vips.pk}/remove/", {"confirmed": "1"}, follow=True)

        assert "used by the segment “Not VIPs”" in told(done)
        assert RecipientList.objects.exists()

    def test_those_who_may_only_look_change_nothing(self, viewer, vips):
        for name in ("people", "upload", "remove"):
            assert viewer.get(f"{LISTS}{vips.pk}/{name}/").status_code == 403


class TestUploads:
    def upload(self, client: Client, to: RecipientList, content: bytes, name: str = "people.csv") -> Any:
        return client.post(f"{LISTS}{to.pk}/upload/", {"file": SimpleUploadedFile(name, content)}, follow=True)

    def test_a_file_is_looked_at_and_then_read(self, manager, vips):
        factories.recipients(3)
        content = b"Name;Customer ID\nA;person-0\nB;person-0\nC;nobody\n=D();person-2\n=1+1;\n"

        page = self.upload(manager, vips, content)
        assert page.context["look"].rows[1] == ["A", "person-0"]
        assert page.context["form"].initial == {
            "column": 1, "identifier": "external_id", "has_header": True, "delimiter": ";",
        }  # fmt: skip
        assert members(vips) == set()

        done = manager.post(page.request["PATH_INFO"], page.context["form"].initial, follow=True)

        upload = done.context["upload"]
        assert (upload.known, upload.added, upload.unknown, upload.duplicates, upload.invalid) == (2, 2, 1, 1, 1)
        assert members(vips) == {"person-0", "person-2"}
        assert not ListUploadPart.objects.exists()

        file = manager.get(f"{LISTS}{vips.pk}/file/{upload.pk}/rejected/")
        lines = b"".join(file.streaming_content).decode("utf-8-sig").splitlines()
        assert lines[0] == "line,reason,row"
        assert "4,Nobody has this id.,C,nobody" in lines
        assert any(line.endswith(",'=1+1,") for line in lines)

    def test_a_file_is_read_once(self, manager, vips):
        factories.recipients(1)
        page = self.upload(manager, vips, b"id\nperson-0\n")
        address, chosen = page.request["PATH_INFO"], page.context["form"].initial
        manager.post(address, chosen)
        ListService().remove(vips.pk, ["person-0"])

        manager.post(address, chosen)

        assert members(vips) == set()

    def test_a_large_file_is_read_in_the_background_and_its_pages_follow(self, manager, vips, monkeypatch):
        monkeypatch.setattr(uploads, "INLINE_BYTES", 0)
        monkeypatch.setattr(reading, "BATCH", 2)
        factories.recipients(3)
        page = self.upload(manager, vips, b"id\nperson-0\nnobody\nperson-1\nperson-2\n")
        file, home = page.request["PATH_INFO"], f"{LISTS}{vips.pk}/"

        shown = manager.post(file, page.context["form"].initial, follow=True).content.decode()
        assert "people.csv is being read" in shown
        assert f'data-refresh="{file}state/"' in shown
        assert f'data-refresh="{home}files/"' in manager.get(f"{home}change/").content.decode()
        assert f'data-refresh="{LISTS}reading/"' in manager.get(LISTS).content.decode()

        steps = read_waiting()
        for _ in range(3):
            next(steps)
        for part in (f"{home}files/", f"{LISTS}reading/"):
            told = manager.get(part).content.decode()
            assert "3 rows read, 2 people added, 1 rejected" in told, part
            assert "data-settled" not in told
        assert "<dd>3</dd>" in manager.get(f"{file}state/").content.decode()

        list(steps)
        for part in (f"{file}state/", f"{home}files/", f"{LISTS}reading/"):
            assert "data-settled" in manager.get(part).content.decode(), part
        assert "4 rows read, 3 added, 1 rejected" in manager.get(f"{home}files/").content.decode()
        assert "data-refresh" not in manager.get(file).content.decode()

    def test_what_a_file_given_up_halfway_left_is_kept_with_a_word(self, manager, vips, monkeypatch):
        page = self.upload(manager, vips, b"id\nperson-0\n")
        file = page.request["PATH_INFO"]
        ListUpload.objects.update(state=UploadState.FAILED, position=2, problem="It stopped.", finished_at=now())
        assert "The list is right as it is" in manager.get(file).content.decode()
        assert "wait for your word" in manager.get(f"{LISTS}{vips.pk}/files/").content.decode()
        assert manager.get(f"{file}keep/").status_code == 405

        told = manager.post(f"{file}keep/", follow=True).content.decode()

        assert "“VIPs” counts as it is now. Campaigns may go to it." in told
        assert "The list is right as it is" not in told
        assert "the list counts as it is" in manager.get(f"{LISTS}{vips.pk}/files/").content.decode()
        assert "nothing to decide" in manager.post(f"{file}keep/", follow=True).content.decode()

    def test_a_file_that_could_not_be_read_says_why_and_asks_again(self, manager, vips):
        page = self.upload(manager, vips, b"id\n" + b"\x81\x00,\x81\n" * 9)
        shown = manager.post(page.request["PATH_INFO"], page.context["form"].initial, follow=True)

        assert "in an encoding that can" in shown.content.decode()
        assert "Which column says who" in shown.content.decode()
        assert "Not read to its end" in manager.get(f"{LISTS}{vips.pk}/change/").content.decode()
        ListUploadPart.objects.all().delete()
        assert "was not read to its end" in manager.get(page.request["PATH_INFO"]).content.decode()

    def test_moving_parts_are_for_those_who_may_see_them(self, viewer, client, vips):
        upload = ListUpload.objects.create(list=vips, file_name="x.csv", size=1)

        assert viewer.get(f"{LISTS}reading/").status_code == 200
        assert viewer.get(f"{LISTS}{vips.pk}/file/{upload.pk}/state/").status_code == 403
        assert client.get(f"{LISTS}reading/").status_code == 302

    @pytest.mark.parametrize("content", [b"", b"\n\n\n"])
    def test_an_empty_file_is_refused_with_a_sentence(self, manager, vips, content):
        page = self.upload(manager, vips, content)

        assert page.status_code == 200
        assert "empty" in page.content.decode() or "no row" in told(page)

    def test_odd_bytes_are_rejected_rows_and_no_error(self, manager, vips):
        page = self.upload(manager, vips, b'id\n\xff\xfe\x00\n"open\n' + b"x" * 300 + b"\n")
        done = manager.post(
            page.request["PATH_INFO"], {**page.context["form"].initial, "has_header": "on"}, follow=True
        )

        assert done.status_code == 200
        assert ListUpload.objects.get().invalid >= 2

    @pytest.mark.parametrize("wrong", [{"column": "9"}, {"column": "-1"}, {"identifier": "name"}, {"delimiter": "x"}])
    def test_a_choice_that_was_not_offered_is_refused(self, manager, vips, wrong):
        page = self.upload(manager, vips, b"id\nperson-0\n")

        answer = manager.post(page.request["PATH_INFO"], {**page.context["form"].initial, **wrong})

        assert answer.status_code == 200
        assert answer.context["form"].errors

    def test_a_file_of_another_list_is_not_found(self, manager, vips):
        self.upload(manager, vips, b"id\nperson-0\n")
        other = ListService().create("Others", by=None)

        address = reverse("admin:campaigns_recipientlist_file", args=[other.pk, ListUpload.objects.get().pk])
        assert manager.get(address).status_code == 404
