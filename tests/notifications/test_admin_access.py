"""API keys, dead letters and the outbox in the admin."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from notifications.admin.outbox import COUNT_CAP, lanes
from notifications.choices import EventType, Status
from notifications.models import ApiKey, DeadLetter, Delivery, DeliveryEvent, OutboxMessage
from notifications.services import api_keys
from tests import factories
from tests.admin import big_tables_scanned, dead_letter, delivery, notification, page, signed_in

pytestmark = pytest.mark.django_db
NEW_KEY = {"name": "shop", "mode": "live", "scopes": ["notifications:write"], "expires_at_0": "", "expires_at_1": ""}


class TestApiKeys:
    def test_the_secret_is_shown_once_and_kept_nowhere(self):
        client = signed_in(may="everything")

        shown = client.post(page(ApiKey, "add"), NEW_KEY)
        secret = shown.context["secret"]
        key = ApiKey.objects.get()

        assert shown.status_code == 200
        assert secret in shown.content.decode()
        assert "no-store" in shown["Cache-Control"]
        assert api_keys.authenticate(secret) == key
        bare = secret.rsplit("_", 1)[1]
        for address in (page(key), page(ApiKey), page(key, "history")):
            assert bare not in client.get(address).content.decode()
        assert all(bare not in str(session.get_decoded()) for session in Session.objects.all())
        assert bare not in str(ApiKey.objects.values().get())

    def test_scopes_and_mode_are_those_ticked(self):
        signed_in(may="everything").post(page(ApiKey, "add"), {**NEW_KEY, "mode": "test"})

        assert (ApiKey.objects.get().mode, ApiKey.objects.get().scopes) == ("test", ["notifications:write"])

    @pytest.mark.parametrize(
        ("field", "value"),
        [("scopes", []), ("scopes", ["everything"]), ("mode", "real"), ("expires_at_0", "2001-01-01"), ("name", "")],
    )
    def test_a_bad_value_makes_no_key(self, field, value):
        response = signed_in(may="everything").post(
            page(ApiKey, "add"), {**NEW_KEY, "expires_at_1": "00:00:00" if "expires" in field else "", field: value}
        )

        assert response.status_code == 200
        assert field.removesuffix("_0") in response.context["adminform"].form.errors
        assert not ApiKey.objects.exists()

    def test_a_change_reaches_the_name_alone(self):
        key, _ = factories.api_key(scopes=["notifications:read"])

        signed_in(may="everything").post(page(key), {"name": "renamed", "scopes": ["catalog:write"], "mode": "test"})

        key.refresh_from_db()
        assert (key.name, key.mode, key.scopes) == ("renamed", "live", ["notifications:read"])

    def test_revoking_asks_first_and_works_at_once(self):
        client = signed_in(may="everything")
        secret = client.post(page(ApiKey, "add"), NEW_KEY).context["secret"]
        key = ApiKey.objects.get()

        client.get(page(key, "revoke"))
        assert api_keys.authenticate(secret) == key
        client.post(page(key, "revoke"), {"confirmed": "1"})

        with pytest.raises(api_keys.InvalidKey):
            api_keys.authenticate(secret)

    def test_those_who_only_look_make_and_revoke_none(self):
        key, _ = factories.api_key()
        client = signed_in(may="view")

        assert client.post(page(ApiKey, "add"), NEW_KEY).status_code == 403
        assert client.post(page(key, "revoke"), {"confirmed": "1"}).status_code == 403
        assert client.post(page(key, "delete"), {"post": "yes"}).status_code == 403
        assert ApiKey.objects.get().revoked_at is None


class TestDeadLetters:
    def test_replaying_asks_first_then_puts_the_delivery_back(self):
        factories.recipient("ada")
        letter = dead_letter(notification("ada"))
        client = signed_in(may="everything")
        ticked = {"action": "replay", "_selected_action": [str(letter.pk)]}

        client.post(page(DeadLetter), ticked)
        assert DeadLetter.objects.get().replayed_at is None
        client.post(page(DeadLetter), {**ticked, "confirmed": "1"})

        letter.refresh_from_db()
        assert letter.replayed_by == "user-everything"
        assert Delivery.objects.get(pk=letter.delivery_id).status == Status.QUEUED
        assert OutboxMessage.objects.filter(delivery_ids__contains=[letter.delivery_id]).exists()
        assert DeliveryEvent.objects.filter(delivery_id=letter.delivery_id, type=EventType.REPLAYED).exists()

    def test_one_can_be_replayed_from_its_page(self):
        factories.recipient("ada")
        letter = dead_letter(notification("ada"))
        client = signed_in(may="everything")

        assert "its handling crashed" in client.get(page(letter)).content.decode()
        client.post(page(letter, "replay_one"), {"confirmed": "1"})

        assert Delivery.objects.get(pk=letter.delivery_id).status == Status.QUEUED
        assert "Replay…" not in client.get(page(letter)).content.decode()

    def test_those_who_only_look_replay_nothing(self):
        factories.recipient("ada")
        letter = dead_letter(notification("ada"))
        client = signed_in(may="view")
        ticked = {"action": "replay", "_selected_action": [str(letter.pk)], "confirmed": "1"}

        client.post(page(DeadLetter), ticked)
        assert client.post(page(letter, "replay_one"), {"confirmed": "1"}).status_code == 403

        assert Delivery.objects.get(pk=letter.delivery_id).status == Status.DEAD

    def test_filters_by_channel_cause_and_whether_replayed(self):
        factories.recipient("ada")
        letter = dead_letter(notification("ada"))
        client = signed_in(may="everything")

        def shown(**query):
            return [row.pk for row in client.get(page(DeadLetter), query).context["cl"].result_list]

        assert shown(channel__exact="email", cause__exact="poison", replayed="no") == [letter.pk]
        assert shown(channel__exact="sms") == []
        assert shown(cause__exact="exhausted") == []
        assert shown(replayed="yes") == []

    def test_one_whose_record_is_gone_still_opens(self):
        factories.recipient("ada")
        letter = dead_letter(notification("ada"))
        Delivery.objects.all()._raw_delete("default")

        assert signed_in(may="everything").get(page(letter)).status_code == 200


class TestOutbox:
    def test_cards_tell_what_is_due_and_since_when(self):
        factories.recipient("ada")
        sent = notification("ada")
        OutboxMessage.objects.filter(channel="email").update(due_at=timezone.now() - timedelta(minutes=5))
        OutboxMessage.objects.filter(channel="sms").update(due_at=timezone.now() + timedelta(hours=1))
        client = signed_in(may="everything")

        found = {lane.channel: lane for lane in lanes()}
        body = client.get(page(OutboxMessage)).content.decode()

        assert (found["email"].due, found["email"].is_behind) == (1, True)
        assert (found["sms"].due, found["sms"].later) == (0, 1)
        assert "5 min" in body
        row = OutboxMessage.objects.get(channel="email")
        assert page(delivery(sent)) in client.get(page(row)).content.decode()

    def test_a_long_outbox_is_counted_to_a_bound_by_its_index(self):
        before = timezone.now() - timedelta(minutes=1)
        row = {"channel": "email", "priority": "low", "due_at": before, "delivery_ids": [uuid4(), uuid4()]}
        OutboxMessage.objects.bulk_create(OutboxMessage(**row) for _ in range(COUNT_CAP * 5))
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE notifications_outbox")

        with CaptureQueriesContext(connection) as captured:
            [lane] = lanes()

        assert lane.due_words == "2,000+", "messages, of so many rows as are counted"
        assert big_tables_scanned([{"sql": q["sql"].strip()} for q in captured.captured_queries]) == set()

    def test_nothing_waiting_is_said(self):
        assert "every lane is empty" in signed_in(may="everything").get(page(OutboxMessage)).content.decode()
