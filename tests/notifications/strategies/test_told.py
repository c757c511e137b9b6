"""What a waiting step waits for, and why one was stopped: API, explanation, admin."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from channels_app import state
from channels_app.models import FeedCursor, FeedItem
from notifications import explain
from notifications.admin import timeline
from notifications.drafts import Draft
from notifications.models import Delivery, Notification, OutboxMessage
from preferences.models import Category
from tests import factories
from tests.notifications.strategies.harness import CONTENT, ESCALATE, delivery, pass_time, send, waits, work

pytestmark = pytest.mark.django_db


@pytest.fixture
def call(client, ann):
    _, token = factories.api_key()

    def make(method: str, path: str, body: object = None):
        send_it = getattr(client, method)
        headers = {"Authorization": f"Bearer {token}"}
        return send_it(f"/api/v1/{path}", body, content_type="application/json", headers=headers)

    return make


def read_it(person) -> None:
    FeedCursor.objects.create(recipient=person, last_seq=1, version=1)
    FeedItem.objects.create(id=delivery("in_app").pk, recipient=person, seq=1, category="orders")
    state.change(person.pk, "read", [delivery("in_app").pk])


class TestApi:
    def test_a_call_chooses_its_steps_and_the_answer_tells_what_waits(self, call):
        said = {"recipient": "ann", "category": "orders", "content": CONTENT, "strategy": ESCALATE}
        answer = call("post", "notifications/", said)

        assert answer.status_code == 202, answer.json()
        told = call("get", f"notifications/{answer.json()['id']}/").json()
        waiting = {one["channel"]: one["waiting"] for one in told["deliveries"]}
        assert told["strategy"] == "escalate"
        assert waiting["in_app"] is None
        assert waiting["email"]["unless"] == "read"
        assert waiting["email"]["says"] == "Email in 60 minutes, unless it is read by then." or (
            waiting["email"]["says"] == "Email in 1 hour, unless it is read by then."
        )

    @pytest.mark.parametrize(
        ("strategy", "pointer"),
        [
            ("some", "/strategy"),
            ({"escalate": [{"channel": "push"}, {"channel": "push", "after": 9}]}, "/strategy/escalate/1/channel"),
            ({"first": 60, "escalate": [{"channel": "push"}, {"channel": "sms", "after": 9}]}, "/strategy"),
        ],
    )
    def test_a_wrong_strategy_is_answered_with_a_pointer(self, call, strategy, pointer):
        body = {"recipient": "ann", "category": "orders", "content": CONTENT, "strategy": strategy}

        answer = call("post", "notifications/", body)

        assert answer.status_code == 422
        assert [one["pointer"] for one in answer.json()["errors"]] == [pointer]

    def test_steps_and_channels_do_not_go_together(self, call):
        body = {
            "recipient": "ann", "category": "orders", "content": CONTENT, "strategy": ESCALATE, "channels": ["push"]
        }  # fmt: skip

        assert [one["pointer"] for one in call("post", "notifications/", body).json()["errors"]] == ["/channels"]

    def test_a_category_keeps_its_steps(self, call):
        steps = [{"channel": "push"}, {"channel": "sms", "after": 60}]

        answer = call("patch", "categories/orders/", {"strategy": "escalate", "escalation": steps})

        assert answer.status_code == 200
        assert answer.json()["escalation"][1] == {"channel": "sms", "after": 60, "unless": "read"}
        wrong = call("patch", "categories/orders/", {"escalation": [{"channel": "push"}]})
        assert [one["pointer"] for one in wrong.json()["errors"]] == ["/escalation"]


class TestExplained:
    def test_a_dry_run_tells_when_and_unless_what(self, ann, provider):
        found = explain.explain(
            Draft(recipient="ann", category="orders", content=CONTENT, strategy=ESCALATE), source=""
        )

        says = {way.channel: way.says for way in found.ways}
        assert says["push"] == "Push in 10 minutes, unless it is seen by then."
        assert {way.channel: way.code for way in found.ways}["email"] == "its_turn"

    def test_the_record_tells_what_waits_and_what_was_stopped(self, ann, provider):
        sent = send(strategy=ESCALATE)
        work()
        read_it(ann)
        before = {fate.channel: fate.says for fate in explain.look_back(sent.id).fates}
        pass_time(3600)
        work()
        after = {fate.channel: fate.says for fate in explain.look_back(sent.id).fates}

        assert "It will not go out: Read in the inbox on " in before["email"]
        assert "Read in the inbox on " in after["email"]

    def test_behind_a_stuck_channel_it_tells_when_it_goes_and_not_when_it_looks(self, ann, provider):
        sent = send(strategy={"first": 3600}, channels=["push", "sms"])
        OutboxMessage.objects.filter(channel="push").delete()  # its circuit is open
        pass_time(3600)
        work()

        fates = {fate.channel: fate for fate in explain.look_back(sent.id).fates}

        assert fates["sms"].says.startswith("It waits: SMS in 1 hour, unless Push has delivered by then")
        assert timedelta(minutes=59) < fates["sms"].until - timezone.now() <= timedelta(hours=1)
        assert waits("sms") == 15

    def test_a_turn_that_comes_in_quiet_hours_tells_of_their_end(self, ann, provider, settings):
        start = timezone.now().replace(second=0, microsecond=0) + timedelta(minutes=30)
        end = start + timedelta(hours=2)
        type(ann).objects.update(quiet_start=start.time(), quiet_end=end.time())
        sent = send(strategy=ESCALATE)
        work()

        fates = {fate.channel: fate for fate in explain.look_back(sent.id).fates}

        assert fates["push"].says.startswith("It waits: Push in 10 minutes, unless it is seen by then.")
        assert "by then. Quiet until " in fates["email"].says
        assert fates["email"].until == end


class TestAdmin:
    def test_the_timeline_shows_a_waiting_step(self, ann, provider):
        send(strategy=ESCALATE)
        work()

        cards = {card.delivery.channel: card for card in timeline.cards(Notification.objects.get(), ann)}

        assert cards["push"].steps[-1].title == "Waiting for its turn"
        assert "unless it is seen by then" in cards["push"].steps[-1].detail
        assert Delivery.objects.get(channel="push").status == "queued"

    def test_a_category_with_wrong_steps_is_refused_beside_the_field(self, ann, admin_client):
        category = Category.objects.get(slug="orders")
        page = reverse("admin:preferences_category_change", args=[category.pk])
        steps = {"escalation-0-channel": "push", "escalation-1-channel": "fax", "escalation-1-number": "9"}

        answer = admin_client.post(page, {"strategy": "escalate", **steps})

        assert answer.status_code == 200
        assert "Look at step 2 again." in str(answer.context["adminform"].form.errors["escalation"])
        assert "A channel is one of" in answer.content.decode()
