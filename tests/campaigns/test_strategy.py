"""A campaign that chooses how its channels are used: in the form, over the API, in the hash, and as it goes out."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from django.utils.datastructures import MultiValueDict

from campaigns.foresight import planned
from campaigns.forms import CampaignForm
from campaigns.models import Campaign
from campaigns.order import sentence
from campaigns.services import CampaignService
from campaigns.services.fingerprint import fingerprint
from channels_app.models import FeedCursor, FeedItem
from notifications.choices import SkipReason, Status
from notifications.models import Delivery
from preferences.models import Recipient
from tests import factories
from tests.admin import page, signed_in
from tests.api import Api
from tests.campaigns.conftest import hand_out, make_campaign, start
from tests.notifications.fakes import FakeProvider
from tests.notifications.strategies.harness import STEPS, pass_time, went, work

pytestmark = pytest.mark.django_db

ESCALATE = {"escalate": STEPS}
ROWS = {
    "how": "escalate",
    "how_steps-0-channel": "in_app",
    "how_steps-1-channel": "push", "how_steps-1-number": "10", "how_steps-1-unit": "60", "how_steps-1-unless": "seen",
    "how_steps-2-channel": "email", "how_steps-2-number": "1", "how_steps-2-unit": "3600", "how_steps-2-unless": "read",
}  # fmt: skip


@pytest.fixture(autouse=True)
def ann(db: None) -> Any:
    factories.category("news", channels=["in_app", "email"])
    return factories.recipient("ann")


def given(**fields: Any) -> dict[str, Any]:
    template = factories.template("sale")
    category = factories.category("news", channels=["in_app", "email"])
    return {
        "name": "Sale", "template": str(template.pk), "category": str(category.pk), "audience": "everyone",
        "schedule": "now", **fields,
    }  # fmt: skip


class TestForm:
    @pytest.mark.parametrize(
        ("fields", "strategy"),
        [
            ({}, None),
            ({"how": "all"}, "all"),
            ({"how": "first"}, "first"),
            ({"how": "first", "how_wait_0": "2", "how_wait_1": "60"}, {"first": 120}),
            ({"how": "escalate"}, "escalate"),
            (ROWS, ESCALATE),
            ({**ROWS, "how": "all", "how_steps-1-number": "soon"}, "all"),
        ],
    )
    def test_what_is_chosen_is_kept(self, fields: dict[str, str], strategy: object) -> None:
        client = signed_in(may="everything")

        response = client.post(page(Campaign, "add"), given(**fields))

        assert response.status_code == 302, response.context["errors"]
        assert Campaign.objects.get().strategy == strategy

    @pytest.mark.parametrize(
        ("fields", "at", "says"),
        [
            ({"how": "first", "how_wait_0": "30", "how_wait_1": "86400"}, "how_wait", "From 5 seconds to 7 days."),
            ({"how": "first", "how_wait_0": "soon", "how_wait_1": "60"}, "how_wait", "Enter a whole number."),
            ({**ROWS, "how_steps-1-number": ""}, "how_steps", "Look at step 2 again."),
            ({**ROWS, "channels": ["email"]}, "channels", "The steps below name the channels"),
            ({"how": "escalate", "how_steps-0-channel": "email"}, "how_steps", "An escalation has two to 4 steps"),
            ({"how": "sideways"}, "how", "Select a valid choice"),
        ],
    )
    def test_what_cannot_be_done_is_told_at_its_field(self, fields: dict[str, Any], at: str, says: str) -> None:
        posted = MultiValueDict(
            {name: one if isinstance(one, list) else [one] for name, one in given(**fields).items()}
        )
        form = CampaignForm(posted)

        assert list(form.errors) == [at]
        assert says in form.errors[at][0]

    def test_steps_without_words_are_told(self) -> None:
        fields = given(**ROWS)
        factories.template("mail-only", {"en": {"email": {"subject": "Hi", "text": "Ho"}}})
        fields["template"] = str(factories.template("mail", {"en": {"email": {"subject": "Hi", "text": "Ho"}}}).pk)

        form = CampaignForm(fields)

        assert list(form.errors) == ["how_steps"]
        assert "no words for In-app and Push" in form.errors["how_steps"][0]

    def test_the_form_shows_what_was_kept(self) -> None:
        campaign = make_campaign(strategy=ESCALATE)

        text = signed_in(may="everything").get(page(campaign)).content.decode()

        assert 'name="how_steps-1-number" value="10"' in text
        assert 'name="how_steps-2-number" value="1"' in text


@pytest.fixture
def api() -> Api:
    return Api(owner=User.objects.create_superuser("grace"))


class TestApi:
    @pytest.mark.parametrize("strategy", [None, "all", "first", "escalate", {"first": 90}, ESCALATE])
    def test_it_is_taken_answered_and_kept_by_a_change_of_something_else(self, api: Api, strategy: object) -> None:
        factories.template("sale")
        body = {"name": "Sale", "template": "sale", "category": "news", "strategy": strategy}

        made = api.post("campaigns/", body)
        changed = api.patch(f"campaigns/{made.json()['id']}/", {"name": "Other"})

        assert made.status_code == 201, made.json()
        assert made.json()["strategy"] == changed.json()["strategy"] == strategy

    @pytest.mark.parametrize(
        ("fields", "pointer"),
        [
            ({"strategy": {"first": 1}}, "/strategy"),
            ({"strategy": {"escalate": [{"channel": "in_app"}]}}, "/strategy"),
            ({"strategy": {"escalate": [STEPS[0], STEPS[2], STEPS[1]]}}, "/strategy/escalate/2/after"),
            ({"strategy": ESCALATE, "channels": ["email"]}, "/channels"),
        ],
    )
    def test_what_cannot_be_done_is_told_where_it_stands(
        self, api: Api, fields: dict[str, object], pointer: str
    ) -> None:
        factories.template("sale")
        body = {"name": "Sale", "template": "sale", "category": "news", **fields}

        refused = api.post("campaigns/", body)

        assert refused.status_code == 422
        assert [error["pointer"][: len(pointer)] for error in refused.json()["errors"]] == [pointer]


def test_the_hash_tells_strategies_apart_and_a_copy_has_the_same() -> None:
    campaign = make_campaign()
    hashes = [fingerprint(campaign)]
    for strategy in ("all", "first", {"first": 60}, ESCALATE):
        campaign.strategy = strategy
        hashes.append(fingerprint(campaign))
    campaign.save()

    assert len(set(hashes)) == 5
    assert CampaignService().duplicate(campaign.pk).strategy == ESCALATE


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "As the category says: by all channels at once."),
        ({"strategy": "all"}, "By all channels at once."),
        ({"strategy": {"first": 60}}, "In-app, then Email; each has 1 minute."),
        ({"strategy": ESCALATE}, "Email 1 hour after the start, unless it is read by then."),
    ],
)
def test_the_pages_and_the_plan_say_what_it_does(fields: dict[str, Any], says: str) -> None:
    campaign = make_campaign(channels=[] if fields.get("strategy") == ESCALATE else ["in_app", "email"], **fields)

    assert says in sentence(campaign)
    assert says in signed_in(may="everything").get(f"/admin/campaigns/campaign/{campaign.pk}/check/").content.decode()
    plan = planned(campaign)
    assert says in plan["order"]
    turns = {one["key"]: one["turn"] for one in plan["channels"]}
    assert bool(turns["email"]) == (fields.get("strategy") not in (None, "all"))
    assert [one["reachable"] for one in plan["channels"]] == [1] * len(turns)


class TestOutcome:
    @pytest.fixture
    def sent(self, provider: FakeProvider) -> FakeProvider:
        campaign = start(make_campaign(strategy=ESCALATE))
        hand_out(campaign)
        work()
        return provider

    def test_nothing_else_goes_out_before_its_time(self, sent: FakeProvider) -> None:
        assert went(sent) == ["in_app"]

    def test_what_is_read_stops_the_rest(self, sent: FakeProvider) -> None:
        person = Recipient.objects.get()
        FeedCursor.objects.create(recipient=person, last_seq=1, version=1)
        id = Delivery.objects.get(channel="in_app").pk
        now = timezone.now()
        FeedItem.objects.create(id=id, recipient=person, seq=1, category="news", title="Sale", seen_at=now, read_at=now)

        pass_time(4000)
        work()

        assert went(sent) == ["in_app"]
        skipped = Delivery.objects.filter(status=Status.SKIPPED)
        assert set(skipped.values_list("channel", "skip_reason")) == {
            ("push", SkipReason.NOT_NEEDED), ("email", SkipReason.NOT_NEEDED),
        }  # fmt: skip

    def test_what_is_not_read_is_told_again(self, sent: FakeProvider) -> None:
        pass_time(700)
        work()
        assert went(sent) == ["in_app", "push"]
        pass_time(3000)
        work()

        assert went(sent) == ["in_app", "push", "email"]
