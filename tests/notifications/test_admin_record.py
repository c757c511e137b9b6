"""The admin of the record: what became of a notification, on tables of any size, to be read and cancelled."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from core import ids
from notifications.admin import look_back, looks
from notifications.admin.notification import NotificationAdmin
from notifications.choices import Channel, EventType, FailureCode, SkipReason, Status
from notifications.models import Delivery, Notification, OutboxMessage
from notifications.models.dead_letter import DeadCause
from notifications.services import notify
from notifications.services.tracking import DeliveryTracker, ProviderReceipt
from preferences.models import Category, Recipient
from preferences.services import PreferencesService
from tests import factories
from tests.admin import big_tables_scanned, counted, delivery, notification, page, signed_in

pytestmark = pytest.mark.django_db
MANY = 50_000


def many_notifications() -> None:
    """One a second until now, each with an email and an in-app delivery, of 500 recipients."""
    category = factories.category("orders")
    people = [person.pk for person in factories.recipients(500)]
    milliseconds = "lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint - n * 1000), 12, '0')"
    id = f"({milliseconds} || '7{{0}}00-8000-' || lpad(to_hex(n), 12, '0'))"
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO notifications_notification"
            " (id, recipient_id, category_id, data, priority, source, is_test, dedup_key, metadata)"
            f" SELECT {id.format(0)}::uuid, (%s::uuid[])[1 + n %% 500], %s, '{{}}', 'normal',"
            f" 'campaign:' || (n %% 3), false, '', '{{}}' FROM generate_series(1, {MANY}) n",
            [people, category.pk],
        )
        for number, channel in enumerate(("email", "in_app"), start=1):
            cursor.execute(
                "INSERT INTO notifications_delivery (id, notification_id, recipient_id, channel, priority, status,"
                " skip_reason, attempts, provider, error_code)"
                f" SELECT {id.format(number)}::uuid, {id.format(0)}::uuid, (%s::uuid[])[1 + n %% 500], %s, 'normal',"
                f" 'delivered', '', 1, '', '' FROM generate_series(1, {MANY}) n",
                [people, channel],
            )
        cursor.execute("ANALYZE notifications_notification, notifications_delivery, preferences_recipient")


def from_campaign(row: Notification) -> Notification:
    Notification.objects.filter(pk=row.pk).update(source="campaign:7")
    return row


def test_a_duplicate_links_to_the_first():
    factories.category("orders", dedup_seconds=300)
    factories.template("order-shipped")
    person = factories.recipient("user-42")
    first, again = (notify(recipient=person.external_id, category="orders", template="order-shipped") for _ in range(2))

    text = signed_in(may="everything").get(page(Notification.objects.get(pk=again.id))).content.decode()

    link = reverse("admin:notifications_notification_change", args=[first.id])
    assert text.count(f'href="{link}"') == 1 + 4  # in the summary, and on each delivery
    assert "Duplicate of" in text


class TestManyRows:
    def test_lists_searches_and_filters_use_indexes_and_count_nothing(self):
        many_notifications()
        client = signed_in(may="everything")
        one = Notification.objects.order_by("-id")[700]
        own = Delivery.objects.filter(notification=one).first()
        person = Recipient.objects.get(pk=one.recipient_id).external_id
        hour_ago = f"{timezone.now() - timedelta(hours=1):%Y-%m-%dT%H:%M}"
        category = str(Category.objects.get().pk)
        asked = [
            (Notification, {}, 25),
            (Notification, {"p": "20"}, 25),
            (Notification, {"q": str(one.pk)}, 1),
            (Notification, {"q": str(own.pk)}, 1),
            (Notification, {"q": person}, 25),
            (Notification, {"recipient": person}, 25),
            (Notification, {"created_from": hour_ago}, 25),
            (Notification, {"category": category, "source": "campaign:1"}, 25),
            (Delivery, {}, 25),
            (Delivery, {"q": str(own.pk)}, 1),
            (Delivery, {"q": str(one.pk)}, 2),
            (Delivery, {"q": person}, 25),
            (Delivery, {"channel__exact": "email"}, 25),
        ]

        for model, query, rows in asked:
            with CaptureQueriesContext(connection) as captured:
                response = client.get(page(model), query)

            assert response.status_code == 200, query
            assert len(response.context["cl"].result_list) == rows, (model, query)
            assert counted(captured.captured_queries, Notification, Delivery, Recipient) == [], (model, query)
            assert big_tables_scanned(captured.captured_queries) == set(), (model, query)

    def test_a_page_of_the_list_costs_a_constant_number_of_queries(self):
        for name in ("ada", "bob"):
            factories.recipient(name)
        client = signed_in(may="everything")
        notification("ada")
        client.get(page(Notification))
        with CaptureQueriesContext(connection) as few:
            client.get(page(Notification))
        for _ in range(10):
            notification("bob")

        with CaptureQueriesContext(connection) as more:
            client.get(page(Notification))

        assert len(more) == len(few)

    def test_a_detail_page_uses_indexes(self):
        many_notifications()
        client = signed_in(may="everything")
        one = Notification.objects.order_by("-id")[700]

        with CaptureQueriesContext(connection) as captured:
            assert client.get(page(one)).status_code == 200

        assert big_tables_scanned(captured.captured_queries) == set()

    def test_filters_without_an_index_look_at_recent_rows_and_say_so(self):
        factories.recipient("ada")
        old = notification("ada")
        long_ago = ids.floor(timezone.now() - timedelta(days=30))
        Notification.objects.filter(pk=old.pk).update(id=long_ago)
        client = signed_in(may="everything")

        recent = client.get(page(Notification), {"source": "api:test"})
        wider = client.get(page(Notification), {"source": "api:test", "created_from": "2020-01-01T00:00"})

        assert "of the last 7 days" in recent.content.decode()
        assert [row.pk for row in recent.context["cl"].result_list] == []
        assert [row.pk for row in wider.context["cl"].result_list] == [long_ago]

    def test_a_filter_that_fits_little_looks_at_the_newest_rows_and_further_when_asked(self, monkeypatch):
        monkeypatch.setattr(look_back, "STEPS", (2, 4))
        factories.recipient("ada")
        rare = from_campaign(notification("ada"))
        fourth, *_ = [notification("ada") for _ in range(4)]
        client = signed_in(may="everything")

        near = client.get(page(Notification), {"source": "campaign:7"})
        reach = near.context["cl"].reach
        all_of_it = client.get(page(Notification) + near.context["cl"].further)

        assert [row.pk for row in near.context["cl"].result_list] == []
        assert reach == ids.made_at(fourth.pk)
        assert "Look through 7 days" in near.content.decode()
        assert [row.pk for row in all_of_it.context["cl"].result_list] == [rare.pk]
        assert "of the last 7 days" in all_of_it.content.decode()

    def test_a_filter_that_fits_much_fills_its_pages_and_says_nothing_of_a_bound(self, monkeypatch):
        monkeypatch.setattr(look_back, "STEPS", (3, 5))
        monkeypatch.setattr(NotificationAdmin, "list_per_page", 2)
        factories.recipient("ada")
        rows = [from_campaign(notification("ada")).pk for _ in range(6)][::-1]
        client = signed_in(may="everything")

        pages = [client.get(page(Notification), {"source": "campaign:7", "p": n}).context["cl"] for n in (1, 2)]

        assert [[row.pk for row in cl.result_list] for cl in pages] == [rows[:2], rows[2:4]]
        assert [cl.reach for cl in pages] == [None, None]


class TestList:
    def test_shows_each_channel_and_its_outcome(self):
        factories.recipient("ada", phone="")
        notification("ada")

        body = signed_in(may="everything").get(page(Notification)).content.decode()

        assert "Email: Queued" in body
        assert "SMS: Skipped. The recipient has no address for this channel." in body

    def test_keeps_showing_what_was_sent_to_someone_erased(self):
        factories.recipient("ada")
        sent = notification("ada")
        PreferencesService().erase("ada")
        client = signed_in(may="everything")

        assert str(sent.pk) in client.get(page(Notification)).content.decode()
        assert "recipient who was erased" in client.get(page(sent)).content.decode()

    @pytest.mark.parametrize("query", [{"created_from": "yesterday"}, {"category": "x"}, {"recipient": "nobody"}])
    def test_odd_filters_are_no_error(self, query):
        factories.recipient("ada")
        notification("ada")

        assert signed_in(may="everything").get(page(Notification), query).status_code == 200


class TestTimeline:
    def test_tells_each_step_in_order_and_in_words(self):
        factories.recipient("ada", phone="", email="ada@example.com")
        sent = notification("ada")
        email = delivery(sent)
        Delivery.objects.filter(pk=email.pk).update(status=Status.SENT, sent_at=timezone.now())
        DeliveryTracker().receipts([ProviderReceipt(email.pk, EventType.DELIVERED, "mailhouse")])
        DeliveryTracker().receipts([ProviderReceipt(email.pk, EventType.OPENED, "mailhouse")])

        response = signed_in(may="everything").get(page(sent))
        cards = {card.delivery.channel: card for card in response.context["cards"]}

        assert [step.title for step in cards["email"].steps] == ["Accepted", "Delivered", "Opened"]
        assert cards["email"].status == "Delivered"
        assert cards["sms"].steps[-1].title == "Skipped"
        assert "has no address" in cards["sms"].steps[-1].detail
        assert cards["push"].steps[-1].title == "Waiting for a worker"
        assert "mailhouse" in response.content.decode()

    def test_addresses_are_redacted(self):
        factories.recipient("ada", email="ada.lovelace@example.com", phone="+4915123456789")
        sent = notification("ada", content={"title": "Hi", "body": "there"})

        body = signed_in(may="everything").get(page(sent)).content.decode()

        assert "a•••@example.com" in body
        assert "ada.lovelace@example.com" not in body
        assert "+4915123456789" not in body

    def test_content_is_text_and_never_markup(self):
        factories.recipient("ada")
        sent = notification("ada", content={"title": "<script>alert(1)</script>", "body": "b"})

        assert "<script>alert(1)" not in signed_in(may="everything").get(page(sent)).content.decode()

    def test_a_delivery_has_a_page_with_its_own_card(self):
        factories.recipient("ada")
        sent = notification("ada")
        email = delivery(sent)

        response = signed_in(may="everything").get(page(email))

        assert [card.delivery.pk for card in response.context["cards"]] == [email.pk]
        assert page(sent) in response.content.decode()

    def test_every_reason_code_and_event_has_words_and_a_colour(self):
        assert all(looks.words(code) != code for code in (*SkipReason.values, *FailureCode.values, *DeadCause.values))
        assert set(looks.EVENT_TONES) == set(EventType)
        assert set(looks.TONES) == set(Status)
        assert set(looks.ICONS) == set(Channel)

    @pytest.mark.parametrize(
        ("seconds", "words"),
        [
            (0.34, "+340 ms"),
            (1.24, "+1.2 s"),
            (185, "+3 min 5 s"),
            (7500, "+2 h 5 min"),
            (260_000, "+3 d"),
            (-2, "−2.0 s"),
        ],
    )
    def test_distances_in_time_are_short(self, seconds, words):
        now = timezone.now()

        assert looks.offset(now, now + timedelta(seconds=seconds)) == words


class TestCancel:
    def test_asks_first_then_stops_what_waits(self):
        factories.recipient("ada")
        sent = notification("ada")
        client = signed_in(may="everything")

        assert "Cancel…" in client.get(page(sent)).content.decode()
        assert client.get(page(sent, "cancel")).status_code == 200
        assert not Delivery.objects.filter(status=Status.SKIPPED).exists()
        client.post(page(sent, "cancel"), {"confirmed": "1"})

        assert set(Delivery.objects.values_list("status", "skip_reason")) == {(Status.SKIPPED, SkipReason.CANCELLED)}
        assert "Cancel…" not in client.get(page(sent)).content.decode()

    def test_too_late_is_told(self):
        factories.recipient("ada")
        sent = notification("ada")
        Delivery.objects.update(status=Status.SENT)

        response = signed_in(may="everything").post(page(sent, "cancel"), {"confirmed": "1"}, follow=True)

        assert "Too late" in response.content.decode()

    def test_takes_the_change_permission_and_a_token(self):
        factories.recipient("ada")
        sent = notification("ada")

        viewer = signed_in(may="view")
        assert "Cancel…" not in viewer.get(page(sent)).content.decode()
        assert viewer.post(page(sent, "cancel"), {"confirmed": "1"}).status_code == 403
        forged = Client(enforce_csrf_checks=True)
        forged.force_login(User.objects.create_superuser("root"))
        assert forged.post(page(sent, "cancel"), {"confirmed": "1"}).status_code == 403
        assert not Delivery.objects.filter(status=Status.SKIPPED).exists()

        actor = User.objects.get(username="user-view")
        actor.user_permissions.add(Permission.objects.get(codename="change_notification"))
        assert viewer.post(page(sent, "cancel"), {"confirmed": "1"}).status_code == 302
        assert Delivery.objects.filter(status=Status.SKIPPED).exists()

    def test_what_is_not_there_is_not_found(self):
        client = signed_in(may="everything")

        for address in (Notification(pk=uuid4()), Delivery(pk=uuid4())):
            assert client.get(page(address)).status_code == 404


class TestRecordIsReadOnly:
    @pytest.mark.parametrize("model", [Notification, Delivery, OutboxMessage])
    def test_nothing_is_added_changed_or_deleted_here(self, model):
        factories.recipient("ada")
        notification("ada")
        client = signed_in(may="everything")
        row = model.objects.first()

        assert client.get(page(model, "add")).status_code == 403
        assert client.post(page(row, "delete"), {"post": "yes"}).status_code == 403
        client.post(page(row), {"status": "sent", "priority": "low", "source": "forged", "channel": "sms"})
        assert model.objects.get(pk=row.pk).priority == row.priority
