"""What people do with their address and their data: by session, by a link that was sent, and never by looking."""

import json
import re
import smtplib
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from notifications.drafts import Draft
from notifications.services.notification import NotificationService
from preferences.models import ChangeRecord, Recipient, SentLink, Suppression
from preferences.personal import export
from preferences.retention import purge
from preferences.services import PreferenceChange, PreferencesService, RecipientInput
from tests import factories
from tests.preferences.centre.test_page import post

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _mail_server(settings: Any) -> None:
    settings.EMAIL_URL = "smtp://mail.example"  # the tests' backend keeps what is sent


def sent_path(settings: Any) -> str:
    """The path that the last mail leads to."""
    found = re.search(re.escape(settings.PUBLIC_URL) + r"(/preferences/\S+)", str(mail.outbox[-1].body))
    assert found
    return found[1]


def confirmed(person: Recipient) -> None:
    PreferencesService().upsert([RecipientInput(external_id=person.external_id, email_verified=True)])


class TestAddress:
    def test_a_new_address_is_confirmed_there_and_the_old_one_stays_until_then(
        self, here: Client, ada: Recipient, settings: Any
    ) -> None:
        page = post(here, "/preferences/", action="email", email="ada@new.example")
        assert "A link is on its way" in page.content.decode()
        assert mail.outbox[-1].to == ["ada@new.example"]
        path = sent_path(settings)

        # Looking changes nothing
        assert "Is this your address?" in Client().get(path).content.decode()
        ada.refresh_from_db()
        assert (ada.email, ada.email_verified_at) == ("ada@example.com", None)

        assert "is confirmed" in Client().post(path).content.decode()
        ada.refresh_from_db()
        assert ada.email == "ada@new.example"
        assert ada.email_verified_at is not None
        assert mail.outbox[-1].to == ["ada@example.com"]  # the old one is told
        assert ChangeRecord.objects.get().what == "email"
        assert "confirmed" in here.get("/preferences/").content.decode()

        # A second time it does not work
        for call in (Client().get, Client().post):
            answer = call(path)
            assert answer.status_code == 404
            assert "does not work any more" in answer.content.decode()

    def test_no_link_is_made_of_another_or_works_for_too_long(
        self, here: Client, ada: Recipient, link: str, settings: Any
    ) -> None:
        post(here, "/preferences/", action="email", email="ada@new.example")
        path = sent_path(settings)
        token = path.split("/")[3]
        assert Client().post(f"/preferences/data/{token}/", {"act": "export"}).status_code == 404
        assert Client().post(link.replace("/preferences/", "/preferences/confirm/")).status_code == 404
        assert Client().post(f"/preferences/confirm/{token[:-1]}{'A' if token[-1] != 'A' else 'B'}/").status_code == 404

        SentLink.objects.update(sent_at=timezone.now() - timedelta(hours=25))
        assert Client().post(path).status_code == 404
        ada.refresh_from_db()
        assert ada.email == "ada@example.com"

    def test_one_that_the_service_changed_meanwhile_is_not_overwritten(
        self, here: Client, ada: Recipient, settings: Any
    ) -> None:
        post(here, "/preferences/", action="email", email="ada@new.example")
        PreferencesService().upsert([RecipientInput(external_id="ada", email="ada@work.example")])

        assert Client().post(sent_path(settings)).status_code == 404
        ada.refresh_from_db()
        assert ada.email == "ada@work.example"

    def test_a_confirmation_that_bounces_concerns_nobody(self, here: Client, ada: Recipient) -> None:
        """It is no delivery: there is nothing a report could be about."""
        post(here, "/preferences/", action="email", email="nobody@new.example")

        PreferencesService().suppress("email", "nobody@new.example", "hard_bounce")

        assert PreferencesService().reach_fresh([ada.pk])[ada.pk].suppressed == ()
        assert Suppression.objects.count() == 1

    def test_whoever_has_a_forwarded_link_cannot_give_an_address_of_theirs(
        self, link: str, ada: Recipient, settings: Any
    ) -> None:
        shown = Client().get(link).content.decode()
        assert "A link can be forwarded, so no address is changed by this one" in shown
        assert 'name="email"' not in shown

        post(Client(), link, action="email", email="eve@evil.example")

        assert mail.outbox[-1].to == ["ada@example.com"]
        Client().post(sent_path(settings))
        ada.refresh_from_db()
        assert ada.email == "ada@example.com"
        assert ada.email_verified_at is not None

    @pytest.mark.parametrize("email", ["", "no address", "ada@example.com\nBcc: eve@evil.example"])
    def test_what_is_no_address_is_said_beside_the_field(self, here: Client, email: str, ada: Recipient) -> None:
        answer = here.post("/preferences/", {"action": "email", "email": email})

        assert answer.status_code == 422
        assert 'id="email-fault"' in answer.content.decode()
        assert mail.outbox == []

    def test_so_many_an_hour(self, here: Client, ada: Recipient) -> None:
        for n in range(3):
            assert here.post("/preferences/", {"action": "email", "email": f"ada@{n}.example"}).status_code == 303

        answer = here.post("/preferences/", {"action": "email", "email": "ada@4.example"})

        assert answer.status_code == 429
        assert len(mail.outbox) == 3

    def test_without_a_mail_server_it_is_not_offered(self, here: Client, settings: Any) -> None:
        settings.EMAIL_URL = ""

        assert "please write to the service" in here.get("/preferences/").content.decode()
        assert here.post("/preferences/", {"action": "email", "email": "ada@new.example"}).status_code == 422
        assert not SentLink.objects.exists()

    def test_a_mail_server_that_is_away_is_said(self, here: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        def away(self: mail.EmailMessage, fail_silently: bool = False) -> int:
            raise smtplib.SMTPServerDisconnected

        monkeypatch.setattr(mail.EmailMessage, "send", away)
        answer = here.post("/preferences/", {"action": "email", "email": "ada@new.example"})

        assert answer.status_code == 503
        assert "could not be sent" in answer.content.decode()


class TestData:
    def test_the_page_of_a_link_does_not_lead_there_by_itself(self, link: str, ada: Recipient) -> None:
        token = link.split("/")[2]
        assert Client().get(f"/preferences/data/{token}/").status_code == 404
        assert Client().get("/preferences/data/").status_code == 302

    def test_a_link_sends_the_way_to_the_confirmed_address_alone(
        self, link: str, ada: Recipient, settings: Any
    ) -> None:
        answer = Client().post(link, {"action": "data"})
        assert answer.status_code == 422
        assert "not confirmed" in answer.content.decode()
        assert mail.outbox == []

        confirmed(ada)
        post(Client(), link, action="data")
        assert mail.outbox[-1].to == ["ada@example.com"]
        path = sent_path(settings)

        assert "Take a copy along" in Client().get(path).content.decode()
        copy = json.loads(b"".join(Client().post(path, {"act": "export"}).streaming_content))
        assert copy["profile"]["email"] == "ada@example.com"
        assert Client().post(path, {"act": "export"}).status_code == 404

    def test_a_copy_has_everything(self, here: Client, ada: Recipient, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(export, "PAGE", 2)
        monkeypatch.setattr("notifications.personal.PAGE", 2)
        factories.category("orders")
        NotificationService().send(
            [
                Draft(recipient="ada", category="orders", content={"email": {"subject": f"No. {n}", "text": "x"}},
                      channels=["email"])
                for n in range(5)
            ],
            source="api:test",
        )  # fmt: skip
        for _ in range(3):
            PreferencesService().set_preferences("ada", [PreferenceChange("orders", "sms", False)])
            PreferencesService().set_preferences("ada", [PreferenceChange("orders", "sms", True)])
        PreferencesService().suppress("email", "ada@example.com", "manual")

        answer = here.post("/preferences/data/", {"act": "export"})
        copy = json.loads(b"".join(answer.streaming_content))

        assert answer.headers["Content-Disposition"] == 'attachment; filename="my-data.json"'
        assert copy["profile"]["name"] == "Ada Lovelace"
        assert copy["profile"]["not_to_be_used"][0]["reason"] == "manual"
        assert [row["content"]["email"]["subject"] for row in copy["notifications"]] == [f"No. {n}" for n in range(5)]
        assert copy["notifications"][0]["deliveries"][0]["channel"] == "email"
        assert len([row for row in copy["changes"] if row["what"] == "preference"]) == 6
        assert copy["preferences"][0]["category__slug"] == "orders"
        assert len(copy["devices"]) == 1
        assert copy["inbox"] == []

    def test_erasing_wants_the_word_typed(self, here: Client, ada: Recipient) -> None:
        assert "Type ERASE" in here.get("/preferences/data/?act=erase&word=ERASE").content.decode()

        answer = here.post("/preferences/data/", {"act": "erase", "word": "yes"})
        assert answer.status_code == 422
        assert Recipient.objects.exists()

        answer = here.post("/preferences/data/", {"act": "erase", "word": "erase"})
        assert "Your data is erased" in answer.content.decode()
        assert not Recipient.objects.exists()
        assert not SentLink.objects.exists()
        assert here.get("/preferences/data/").status_code == 302

    def test_a_link_erases_once_the_word_is_right(self, link: str, ada: Recipient, settings: Any) -> None:
        confirmed(ada)
        post(Client(), link, action="data")
        path = sent_path(settings)

        assert Client().post(path, {"act": "erase", "word": "no"}).status_code == 422
        assert "Your data is erased" in Client().post(path, {"act": "erase", "word": "ERASE"}).content.decode()
        assert not Recipient.objects.exists()
        assert Client().get(path).status_code == 404

    def test_a_link_is_worth_nothing_after_half_an_hour_or_a_new_address(
        self, link: str, ada: Recipient, settings: Any
    ) -> None:
        confirmed(ada)
        post(Client(), link, action="data")
        path = sent_path(settings)
        SentLink.objects.update(sent_at=timezone.now() - timedelta(minutes=31))
        assert Client().get(path).status_code == 404

        SentLink.objects.update(sent_at=timezone.now())
        assert Client().get(path).status_code == 200
        PreferencesService().upsert([RecipientInput(external_id="ada", email="ada@work.example")])
        assert Client().get(path).status_code == 404

    def test_so_many_copies_an_hour(self, here: Client, ada: Recipient) -> None:
        for _ in range(3):
            assert here.post("/preferences/data/", {"act": "export"}).status_code == 200

        assert here.post("/preferences/data/", {"act": "export"}).status_code == 429

    def test_a_sessions_forms_are_guarded_against_other_sites(self, signed_in: Client) -> None:
        assert signed_in.post("/preferences/data/", {"act": "erase", "word": "ERASE"}).status_code == 403
        assert Recipient.objects.exists()

    def test_without_an_email_it_says_whom_to_ask(self, ada: Recipient, link: str) -> None:
        PreferencesService().upsert([RecipientInput(external_id="ada", email="")])

        assert "please write to the service" in Client().get(link).content.decode()


def test_links_that_are_good_for_nothing_are_forgotten(here: Client, ada: Recipient) -> None:
    post(here, "/preferences/", action="email", email="ada@new.example")
    purge()
    assert SentLink.objects.exists()

    SentLink.objects.update(sent_at=timezone.now() - timedelta(hours=25))
    purge()
    assert not SentLink.objects.exists()
