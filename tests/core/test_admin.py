"""The base of the admin: every page stands on it and opens, and no list counts or scans a big table."""

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.paginator import EmptyPage
from django.db import connection
from django.db.models.expressions import RawSQL
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from analytics.alerts.models import AlertRoute
from analytics.webhooks.models import WebhookEndpoint
from campaigns.models import Campaign
from core import admin_lists
from core.admin import BaseModelAdmin, BigTableAdmin
from core.admin_lists import MAX_PAGE, LookaheadPaginator, estimated_rows
from notifications.models import ApiKey, Delivery, MessageTemplate
from preferences.models import Category, Recipient
from tests import factories
from tests.admin import a_row_of_everything, page, signed_in

pytestmark = pytest.mark.django_db

MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)


def test_every_admin_class_stands_on_the_one_base():
    strangers = [
        model._meta.label for model, page in admin.site._registry.items() if not isinstance(page, BaseModelAdmin)
    ]

    assert strangers == []


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
class TestEveryPageOpens:
    def test_without_rows(self, model):
        client = signed_in(may="everything")

        assert client.get(page(model)).status_code == 200
        may_add = admin.site._registry[model].has_add_permission(_request_of(client))
        assert client.get(page(model, "add")).status_code == (200 if may_add else 403)

    def test_with_rows(self, model):
        client = signed_in(may="everything")
        a_row_of_everything()
        Campaign.objects.create(name="Spring", template=MessageTemplate.objects.get(), category=Category.objects.get())
        row = model._default_manager.first()

        assert row is not None, f"a_row_of_everything() has no {model._meta.label}"
        assert client.get(page(model)).status_code == 200
        assert client.get(page(row)).status_code == 200
        assert client.get(page(row, "history")).status_code == 200

    def test_for_those_who_may_only_look(self, model):
        client = signed_in(may="view")
        a_row_of_everything()
        Campaign.objects.create(name="Spring", template=MessageTemplate.objects.get(), category=Category.objects.get())

        assert client.get(page(model)).status_code == 200
        assert client.get(page(model._default_manager.first())).status_code == 200
        assert client.get(page(model, "add")).status_code == 403

    def test_not_for_those_without_a_permission(self, model):
        client = signed_in()
        a_row_of_everything()
        Campaign.objects.create(name="Spring", template=MessageTemplate.objects.get(), category=Category.objects.get())

        assert client.get(page(model)).status_code == 403
        assert client.get(page(model._default_manager.first())).status_code in {302, 403}

    def test_a_malformed_key_and_search_are_no_error(self, model):
        client = signed_in(may="everything")

        opts = model._meta
        odd = reverse(f"admin:{opts.app_label}_{opts.model_name}_change", args=["not'a-key"])
        assert client.get(odd).status_code in {302, 404}
        assert client.get(page(model), {"q": "nul\x00 'quote %_"}).status_code == 200
        assert client.get(page(model), {"p": "99999999"}).status_code == 200
        assert client.get(page(model), {"p": "minus"}).status_code == 200


def _request_of(client):
    return client.get(reverse("admin:index")).wsgi_request


def test_a_history_says_how_long_it_is():
    client = signed_in(may="everything")
    category = factories.category("news")
    client.post(
        page(category),
        {
            "name": "News",
            "channels": ["email"],
            "default_priority": "low",
            "purpose": "marketing",
            "dedup_seconds_1": "1",
            "dedup_seconds_0": "60",
            "strategy": "all",
            "fallback_seconds_1": "1",
            "fallback_seconds_0": "300",
            "digest_mode": "none",
            "digest_window_seconds_1": "1",
            "digest_window_seconds_0": "3600",
            "digest_cap_seconds_1": "1",
            "digest_cap_seconds_0": "14400",
            "digest_at": "09:00",
            "digest_channels": ["email"],
        },
    )

    answer = client.get(page(category, "history"))

    assert answer.context["action_list"].paginator.count == 1
    assert "1 entry" in answer.content.decode()


class TestWhatAListIsAskedFor:
    """Whoever may look at a list cannot ask it for what it doesn't show."""

    @pytest.mark.parametrize(
        ("model", "query"),
        [
            (AlertRoute, {"secret__startswith": "whsec_"}),
            (AlertRoute, {"target__contains": "hooks"}),
            (WebhookEndpoint, {"secrets__contains": "whsec_"}),
            (WebhookEndpoint, {"secrets__0__startswith": "whsec_"}),
            (ApiKey, {"secret_hash__startswith": "0"}),
            (User, {"password__startswith": "p"}),
        ],
    )
    def test_a_field_without_a_filter_is_none(self, model, query):
        a_row_of_everything()

        assert signed_in(may="view").get(page(model), query).status_code == 400

    def test_a_filter_takes_its_own_field(self):
        a_row_of_everything()
        looks = signed_in(may="view")

        assert looks.get(page(AlertRoute), {"kind__exact": "email"}).status_code == 200
        assert looks.get(page(Delivery), {"provider": "simulated_email", "channel__exact": "email"}).status_code == 200

    def test_a_nul_is_no_value(self):
        assert signed_in(may="view").get(page(Delivery), {"status__exact": "\x00"}).status_code == 400


class TestHome:
    def test_links_to_what_this_person_may_see(self):
        client = signed_in(may="view")

        body = client.get(reverse("admin:index")).content.decode()

        assert page(Recipient) in body
        assert "Notifications" in body

    def test_says_so_when_there_is_nothing_to_see(self):
        body = signed_in().get(reverse("admin:index")).content.decode()

        assert "may not see anything yet" in body
        assert page(Recipient) not in body

    def test_strangers_sign_in_first(self):
        assert signed_in(staff=False).get(reverse("admin:index")).status_code == 302


class TestPages:
    def test_the_row_beyond_the_page_says_whether_there_is_a_next_one(self):
        factories.recipients(5)
        paginator = LookaheadPaginator(Recipient.objects.order_by("id"), 2)

        assert [paginator.page(n).has_next() for n in (1, 2, 3)] == [True, True, False]
        assert [len(paginator.page(n)) for n in (1, 2, 3, 4)] == [2, 2, 1, 0]

    @pytest.mark.parametrize("number", [0, -1, MAX_PAGE + 1])
    def test_end_somewhere(self, number):
        with pytest.raises(EmptyPage):
            LookaheadPaginator(Recipient.objects.order_by("id"), 2).page(number)

    def test_a_list_shows_where_it_is(self):
        factories.recipients(60)
        client = signed_in(may="everything")

        first, second = client.get(page(Recipient)), client.get(page(Recipient), {"p": 2})

        assert "1–50" in first.content.decode()
        assert 'rel="next"' in first.content.decode()
        assert "51–60 of 60" in second.content.decode()
        assert 'rel="next"' not in second.content.decode()

    def test_an_estimate_comes_from_the_catalog(self, django_assert_num_queries):
        factories.recipients(2000)
        with django_assert_num_queries(1) as captured:
            estimated_rows(Recipient)

        assert "count(" not in captured[0]["sql"].lower()


class TestBigTables:
    def test_nothing_is_deleted_in_bulk(self):
        person = factories.recipient("ada")
        client = signed_in(may="everything")

        client.post(page(Recipient), {"action": "delete_selected", "_selected_action": [str(person.pk)], "post": "yes"})

        assert Recipient.objects.filter(pk=person.pk).exists()

    def test_select_all_reaches_no_further_than_the_ticked_rows(self):
        people = factories.recipients(3)
        devices = [factories.device(person) for person in people]
        client = signed_in(may="everything")

        ticked = {"action": "retire", "select_across": "1", "confirmed": "1", "_selected_action": [str(devices[0].pk)]}
        client.post(reverse("admin:preferences_devicetoken_changelist"), ticked)

        retired = [type(device).objects.get(pk=device.pk).retired_at is not None for device in devices]
        assert retired == [True, False, False]

    def test_a_column_cannot_be_sorted_by(self):
        factories.recipients(3)
        client = signed_in(may="everything")

        with CaptureQueriesContext(connection) as captured:
            client.get(page(Recipient), {"o": "2"})

        ordered = [q["sql"] for q in captured if "ORDER BY" in q["sql"] and 'FROM "preferences_recipient"' in q["sql"]]
        assert ordered
        assert all('"preferences_recipient"."name" ASC' not in sql for sql in ordered)

    def test_an_action_offers_every_page_a_bound(self):
        big = [page for page in admin.site._registry.values() if isinstance(page, BigTableAdmin)]

        assert len(big) >= 6
        assert all(page.list_per_page <= 50 and not page.date_hierarchy for page in big)

    def test_a_list_that_takes_too_long_says_how_to_narrow_it(self, monkeypatch):
        factories.recipients(3)
        slow = Recipient.objects.annotate(nap=RawSQL("SELECT 1 FROM pg_sleep(5)", []))
        monkeypatch.setattr(admin_lists, "LIST_TIMEOUT_MS", 50)
        monkeypatch.setattr(admin.site._registry[Recipient], "get_queryset", lambda request: slow)

        response = signed_in(may="everything").get(page(Recipient))

        assert response.status_code == 200
        assert "Narrow it" in response.content.decode()
