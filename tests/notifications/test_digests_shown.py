"""Where people see digests: the answer of the API, explaining, and the admin."""

from datetime import timedelta
from uuid import UUID

import pytest
from django.utils import timezone

from notifications import explain
from notifications.digests import closing
from notifications.drafts import Draft
from notifications.models import Digest, DigestItem, Notification
from preferences.models import Category
from tests import factories
from tests.admin import page, signed_in
from tests.api import Api

pytestmark = pytest.mark.django_db
HERE = {"title": "New", "body": "A comment", "link": "https://example.com/1"}
BODY = {"recipient": "ann", "category": "comments", "content": HERE}


@pytest.fixture(autouse=True)
def ann(db: None) -> None:
    factories.recipient("ann")
    factories.category("comments", digest_mode="fixed", digest_window_seconds=600)


def close() -> Notification:
    Digest.objects.update(closes_at=timezone.now() - timedelta(hours=1))
    closing.close_some()
    return Notification.objects.get(source="digest:comments")


def test_the_answer_shows_the_digest_and_the_digest_its_items() -> None:
    api = Api()
    first, second = (api.post("notifications/", {**BODY, "digest_key": "x"}).json()["id"] for _ in range(2))

    waiting = api.get(f"notifications/{first}/").json()
    sent = close()
    gone = api.get(f"notifications/{first}/").json()
    digest = api.get(f"notifications/{sent.pk}/").json()

    assert (waiting["digest"]["state"], waiting["digest"]["notification"], waiting["digest_of"]) == ("open", None, [])
    assert (gone["digest"]["state"], gone["digest"]["notification"]) == ("sent", str(sent.pk))
    assert (digest["digest"], digest["digest_of"]) == (None, [first, second])


def test_a_dry_run_says_when_the_digest_leaves() -> None:
    draft = Draft(recipient="ann", category="comments", content=HERE)

    found = explain.explain(draft, source="api:x")

    ways = {way.channel: way for way in found.ways}
    assert (ways["email"].code, ways["email"].outcome) == ("digested", "skip")
    assert ways["email"].until == found.at + timedelta(seconds=600)
    assert "gathered into a digest that is sent on" in ways["email"].says
    assert ways["in_app"].outcome == "pass"
    assert not Digest.objects.exists()


def test_a_dry_run_says_that_a_sliding_window_goes_on() -> None:
    factories.category("comments", digest_mode="sliding", digest_window_seconds=600, digest_cap_seconds=3600)
    draft = Draft(recipient="ann", category="comments", content=HERE, dedup_key="digest:of-mine")
    Api().post("notifications/", BODY)
    Digest.objects.update(closes_at=timezone.now() + timedelta(seconds=60))

    found = explain.explain(draft, source="api:x")

    [until] = [way.until for way in found.ways if way.channel == "email"]
    assert until == found.at + timedelta(seconds=600)
    Digest.objects.update(latest_at=timezone.now() + timedelta(seconds=90))
    [way] = [way for way in explain.explain(draft, source="api:x").ways if way.channel == "email"]
    assert way.until == Digest.objects.get().latest_at


def test_a_dry_run_of_a_critical_one_says_that_it_does_not_wait() -> None:
    draft = Draft(recipient="ann", category="comments", content=HERE, priority="critical", channels=["email"])

    [way] = explain.explain(draft, source="api:x").ways

    assert way.outcome == "pass"
    assert [check.verdict for check in way.checks if check.gate == "digest"] == ["pass"]


def test_looking_back_names_the_digest() -> None:
    id = Api().post("notifications/", BODY).json()["id"]
    Api().post("notifications/", BODY)
    sent = close()

    past = explain.look_back(UUID(id))

    assert past is not None
    assert any(str(sent.pk) in fate.says for fate in past.fates)


def test_an_operator_sees_what_is_open_and_sends_it_now() -> None:
    Api().post("notifications/", BODY)
    digest = Digest.objects.get()
    client = signed_in(may="everything")

    assert "ann" in client.get(page(Digest)).content.decode()
    client.post(page(Digest), {"action": "leave", "_selected_action": [str(digest.pk)]})

    assert closing.close_some() == 1


def test_the_page_of_an_open_digest_asks_and_sends_it_now() -> None:
    Api().post("notifications/", BODY)
    digest = Digest.objects.get()
    client = signed_in(may="everything")
    now = page(digest, "now")

    assert now in client.get(page(digest)).content.decode()
    assert "1 message" in client.get(now).content.decode()
    client.post(now)
    assert closing.close_some() == 0, "only asked"
    client.post(now, {"confirmed": "1"})

    assert closing.close_some() == 1
    assert now not in client.get(page(digest)).content.decode(), "it has left"
    assert "only an open digest" in client.post(now, {"confirmed": "1"}, follow=True).content.decode()


def test_the_page_of_a_digest_says_when_each_message_joined_it() -> None:
    """The id of a campaign's message tells when the campaign began."""
    Api().post("notifications/", BODY)
    joined = timezone.now() + timedelta(days=40)
    DigestItem.objects.update(at=joined)

    shown = signed_in(may="view").get(page(Digest.objects.get())).content.decode()

    assert joined.isoformat() in shown


def test_nobody_without_the_permission_sends_a_digest_now() -> None:
    Api().post("notifications/", BODY)
    digest = Digest.objects.get()
    client = signed_in(may="view")

    assert page(digest, "now") not in client.get(page(digest)).content.decode()
    assert client.post(page(digest, "now"), {"confirmed": "1"}).status_code == 403
    assert closing.close_some() == 0


def test_the_list_names_people_in_one_query(django_assert_max_num_queries) -> None:
    client = signed_in(may="view")
    category = Category.objects.get(slug="comments")
    for n in range(12):
        Digest.objects.create(recipient=factories.recipient(f"p-{n}"), category=category, closes_at=timezone.now())

    with django_assert_max_num_queries(12):
        text = client.get(page(Digest)).content.decode()

    assert all(f"p-{n}" in text for n in range(12))
