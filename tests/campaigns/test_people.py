"""The people behind a campaign's numbers: listed by page, exported as a file, told apart by language."""

import csv
import io
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from campaigns import breakdown, people, slices
from campaigns.models import Campaign
from campaigns.people import Wanted
from notifications.choices import EventType
from notifications.models import Delivery
from notifications.services.claims import ProviderReceipt
from notifications.services.tracking import DeliveryTracker
from preferences.services import recipients
from tests import factories
from tests.campaigns.conftest import hand_out, make_campaign, start, work

pytestmark = pytest.mark.django_db


@pytest.fixture
def campaign(provider) -> Campaign:
    """Seven people who got an email and an in-app message each, and one without an address."""
    factories.recipients(7)
    factories.recipient("no-mail", email="", locale="pt-BR")
    made = start(make_campaign(data={"order": "A17"}))
    hand_out(made)
    work()
    made.refresh_from_db()
    return made


@pytest.fixture
def manager() -> Client:
    return sign_in("view_campaign", "view_recipient")


def sign_in(*codenames: str) -> Client:
    user = User.objects.create_user("-".join(codenames), is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(user)
    return client


def address(campaign: Campaign, name: str = "people") -> str:
    return reverse(f"campaign-{name}", args=[campaign.pk])


def walk(campaign: Campaign, wanted: Wanted) -> list[list[people.Person]]:
    pages, after = [], None
    while True:
        page = people.page(campaign, wanted, after)
        pages.append(page.people)
        if page.next is None:
            return pages
        after = people.cursor_of(page.next)


def names(found: list[people.Person]) -> set[str]:
    return {person.recipient.external_id if person.recipient else "erased" for person in found}


class TestList:
    def test_each_outcome_lists_who_its_number_counts(self, campaign):
        opened = Delivery.objects.filter(channel="email", status="sent").first()
        DeliveryTracker().receipts([ProviderReceipt(opened.pk, EventType.OPENED, "fake")])

        found = {
            outcome: [p for page in walk(campaign, Wanted(outcome=outcome)) for p in page]
            for outcome in people.OUTCOMES
        }

        assert {outcome: len(rows) for outcome, rows in found.items()} == {
            "all": 16, "waiting": 0, "sent": 15, "delivered": 0, "opened": 1, "clicked": 0, "skipped": 1, "failed": 0,
        }  # fmt: skip
        assert names(found["skipped"]) == {"no-mail"}
        assert [p.delivery.pk for p in found["opened"]] == [opened.pk]

    def test_pages_follow_each_other_without_gap_or_repeat(self, campaign, monkeypatch):
        monkeypatch.setattr(people, "PAGE", 3)

        pages = walk(campaign, Wanted())

        assert [len(page) for page in pages] == [3, 3, 3, 3, 3, 1]
        assert len({person.delivery.pk for page in pages for person in page}) == 16

    def test_a_rare_outcome_is_looked_for_a_slice_at_a_time(self, campaign, monkeypatch):
        monkeypatch.setattr(people, "LOOK", 1)
        monkeypatch.setattr(people, "PATIENCE", -1.0)

        pages = walk(campaign, Wanted(outcome="skipped"))

        assert len(pages) > 1
        assert [names(page) for page in pages if page] == [{"no-mail"}]

    def test_it_is_narrowed_by_channel_and_reason(self, campaign):
        assert len(walk(campaign, Wanted(outcome="sent", channel="email"))[0]) == 7
        assert len(walk(campaign, Wanted(outcome="skipped", reason="no_address"))[0]) == 1
        assert walk(campaign, Wanted(outcome="skipped", reason="opted_out")) == [[]]

    def test_another_campaign_of_the_same_moment_is_not_in_it(self, campaign):
        began = {"started_at": campaign.started_at, "status": "sending"}
        other = make_campaign("Other", template=campaign.template, **began)

        assert walk(other, Wanted()) == [[]]

    def test_who_was_erased_stays_as_a_line_without_a_name(self, campaign, manager):
        recipients.erase("no-mail")

        html = manager.get(address(campaign), {"outcome": "skipped"}).content.decode()

        assert "no-mail" not in html
        assert ">erased<" in html

    @pytest.mark.parametrize("query", ["outcome=moon&channel=moon&reason=moon", "after=moon", "after=%00~%00"])
    def test_an_address_that_says_nothing_is_the_whole_list(self, campaign, manager, query):
        answer = manager.get(f"{address(campaign)}?{query}")

        assert answer.status_code == 200
        assert len(answer.context["rows"]) == 16

    def test_a_draft_has_nobody_yet(self, manager):
        answer = manager.get(address(make_campaign()))

        assert answer.status_code == 200
        assert answer.context["rows"] == []

    def test_a_page_costs_a_constant_number_of_queries(self, campaign, manager, django_assert_max_num_queries):
        with django_assert_max_num_queries(8):
            manager.get(address(campaign))


class TestFile:
    def test_it_has_a_line_for_each_message(self, campaign, manager):
        answer = manager.get(address(campaign, "export"), {"outcome": "sent", "channel": "email"})

        rows = read(answer)
        assert answer["Content-Disposition"] == 'attachment; filename="sale-sent-email.csv"'
        assert len(rows) == 7
        assert {row["recipient"] for row in rows} == {f"person-{n}" for n in range(7)}
        assert all(row["outcome"] == "Sent" and row["sent"] for row in rows)

    @pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
    def test_a_spreadsheet_runs_nothing_of_it(self, provider, manager, name):
        factories.recipient("evil", name=name)
        made = start(make_campaign(data={"order": "A17"}))
        hand_out(made)

        cells = [cell for row in read(manager.get(address(made, "export"))) for cell in row.values()]

        assert f"'{name}" in cells
        assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]

    def test_it_is_read_from_the_record_in_slices(self, campaign, manager, monkeypatch):
        monkeypatch.setattr(people, "LOOK", 20)

        assert len(read(manager.get(address(campaign, "export")))) == 16


def read(answer: Any) -> list[dict[str, str]]:
    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))


class TestLanguages:
    def test_a_small_campaign_is_counted_as_a_whole(self, campaign):
        found = breakdown.by_language(campaign)

        assert found.sampled is None
        assert [(row["label"], row["queued"], row["sent"], row["skipped"]) for row in found.rows] == [
            ("not given", 14, 14, 0),
            ("pt-br", 1, 1, 1),
        ]

    def test_a_large_one_is_a_sample_scaled_up(self, campaign, monkeypatch):
        monkeypatch.setattr(breakdown, "SAMPLE", 1)

        found = breakdown.by_language(campaign)

        assert found.sampled == round(8 / 8)
        assert sum(row["queued"] for row in found.rows) % 8 == 0

    def test_few_languages_are_told_apart(self, campaign, monkeypatch):
        monkeypatch.setattr(breakdown, "SHOWN", 1)

        rows = breakdown.by_language(campaign).rows

        assert [(row["label"], row["queued"]) for row in rows] == [("not given", 14), ("others", 1)]

    def test_it_is_asked_for_by_the_page(self, campaign, manager):
        assert manager.get(address(campaign, "languages")).json()["rows"][0]["sent"] == 14


class TestWhoMay:
    @pytest.mark.parametrize("name", ["people", "export"])
    def test_recipients_are_shown_to_who_may_see_recipients(self, campaign, name):
        client = sign_in("view_campaign")

        assert client.get(address(campaign, name)).status_code == 403
        assert address(campaign, "people") not in client.get(page(campaign)).content.decode()

    @pytest.mark.parametrize("name", ["people", "export", "languages"])
    def test_nobody_sees_them_who_may_not_see_campaigns(self, campaign, name):
        assert sign_in("view_recipient").get(address(campaign, name)).status_code == 403

    def test_the_page_leads_to_them(self, campaign, manager):
        assert address(campaign, "people") in manager.get(page(campaign)).content.decode()


def page(campaign: Campaign) -> str:
    return reverse("admin:campaigns_campaign_change", args=[campaign.pk])


def test_slices_are_even_and_hold_everyone(campaign):
    low, high = slices.bounds(campaign, 0, slices.SLICES)

    ids = list(Delivery.objects.values_list("notification_id", flat=True))
    assert all(low <= id < high for id in ids)
    for id in ids:
        number = slices.number_of(id)
        first, last = slices.bounds(campaign, number, number + 1)
        assert first <= id < last
