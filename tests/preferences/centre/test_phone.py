"""A phone number that somebody confirms with a code sent to it: by session alone, a few guesses, a few messages, and
without a word on what is known of a number."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from preferences.choices import LinkPurpose
from preferences.models import ChangeRecord, Recipient, SentLink
from preferences.personal import codes
from preferences.retention import purge
from preferences.services import PreferencesService, RecipientInput
from preferences.visiting import SESSION_KEY
from tests import factories
from tests.preferences.centre import phone
from tests.preferences.centre.test_page import post

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = "/preferences/"
OLD, NEW, OTHER = "+4915112345678", "+4915187654321", "+4915100000001"


@pytest.fixture(autouse=True)
def _phone(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.TEXT_SENDER = "tests.preferences.centre.phone.send"
    monkeypatch.setattr(codes, "ANSWER_SECONDS", 0.0)
    monkeypatch.setattr(codes, "_couriers", phone.AtOnce())
    phone.texts.clear()
    phone.dead.clear()


def ask(client: Client, number: str = NEW) -> Any:
    return client.post(PAGE, {"action": "phone", "phone": number})


def enter(client: Client, code: str) -> Any:
    return client.post(PAGE, {"action": "code", "code": code})


def wrong() -> str:
    return f"{(int(phone.code()) + 1) % 1_000_000:06}"


def session_of(external_id: str) -> Client:
    client = Client()
    session = client.session
    session[SESSION_KEY] = external_id
    session.save()
    return client


class TestAnotherNumber:
    def test_is_theirs_once_its_code_is_typed_in_and_not_before(self, here: Client, ada: Recipient) -> None:
        page = post(here, PAGE, action="phone", phone="+49 1518 765-4321")
        shown = page.content.decode()
        assert "A code is on its way" in shown
        assert NEW in shown
        assert [number for number, _ in phone.texts] == [NEW]
        ada.refresh_from_db()
        assert (ada.phone, ada.phone_verified_at) == (OLD, None)

        code = phone.code()
        page = post(here, PAGE, action="code", code=f" {code[:3]}-{code[3:]} ")

        assert "Your phone number is confirmed." in page.content.decode()
        ada.refresh_from_db()
        assert ada.phone == NEW
        assert ada.phone_verified_at is not None
        assert phone.texts[-1][0] == OLD  # the old one is told
        told = ChangeRecord.objects.get()
        assert (told.what, told.way, told.before, told.after) == ("phone", "page", "", "")
        assert enter(here, code).status_code == 422  # once
        assert 'id="code-form"' not in here.get(PAGE).content.decode()

    def test_the_one_they_have_is_confirmed_the_same_way(self, here: Client, ada: Recipient) -> None:
        ask(here, OLD)
        enter(here, phone.code())

        ada.refresh_from_db()
        assert ada.phone_verified_at is not None
        assert len(phone.texts) == 1  # nobody is told of what did not change
        assert ask(here, OLD).status_code == 422

    def test_a_digit_is_one_in_every_script(self, here: Client, ada: Recipient) -> None:
        ask(here)
        enter(here, phone.code().translate({ord("0") + n: 0x0660 + n for n in range(10)}))

        ada.refresh_from_db()
        assert ada.phone == NEW

    @pytest.mark.parametrize("number", ["", "12", "call me", "015112345678", "+49151\r\n12345678", "\x00"])
    def test_that_is_none_is_said_beside_the_field_with_what_was_typed(self, here: Client, number: str) -> None:
        answer = ask(here, number)

        assert answer.status_code == 422
        assert 'id="phone-fault"' in answer.content.decode()
        assert phone.texts == []

    def test_a_provider_that_takes_nothing_is_said(self, here: Client, ada: Recipient) -> None:
        phone.dead.add(NEW)

        answer = ask(here)

        assert answer.status_code == 503
        assert f'value="{NEW}"' in answer.content.decode()


class TestCode:
    def test_is_kept_as_a_hash_that_needs_our_secret(self, here: Client, settings: Any) -> None:
        ask(here)
        code, kept = phone.code(), SentLink.objects.get()

        assert code not in str(vars(kept))
        assert kept.code_hash == codes._hash(settings.SECRET_KEY, kept.pk, code)
        assert kept.code_hash != codes._hash("another secret", kept.pk, code)
        assert kept.code_hash != codes._hash(settings.SECRET_KEY, factories.recipient("eve").pk, code)

    def test_is_still_known_after_the_secret_was_replaced(self, here: Client, ada: Recipient, settings: Any) -> None:
        ask(here)
        settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "x" * 50, [settings.SECRET_KEY]
        here = session_of("ada")

        assert enter(here, phone.code()).status_code == 303
        ada.refresh_from_db()
        assert ada.phone == NEW

    def test_is_guessed_five_times_and_then_is_worth_nothing(self, here: Client, ada: Recipient) -> None:
        ask(here)
        for _ in range(codes.MAX_TRIES):
            answer = enter(here, wrong())
            assert answer.status_code == 422
            assert "not the code" in answer.content.decode()

        assert enter(here, phone.code()).status_code == 422
        ada.refresh_from_db()
        assert ada.phone == OLD

    @pytest.mark.parametrize("typed", ["", "12345", "1" * 5000, "\u202e123456", "\x00", "①②③④⑤⑥"])
    def test_whatever_is_typed_is_no_error(self, here: Client, typed: str) -> None:
        ask(here)

        assert enter(here, typed).status_code == 422

    def test_works_for_ten_minutes(self, here: Client, ada: Recipient) -> None:
        ask(here)
        SentLink.objects.update(sent_at=timezone.now() - timedelta(seconds=codes.CODE_SECONDS + 1))

        assert enter(here, phone.code()).status_code == 422
        assert 'id="code-form"' not in here.get(PAGE).content.decode()

    def test_of_several_the_last_one_counts(self, here: Client, ada: Recipient) -> None:
        ask(here)
        first = phone.code()
        ask(here, OTHER)

        assert phone.code() == first or enter(here, first).status_code == 422
        assert enter(here, phone.code()).status_code == 303
        ada.refresh_from_db()
        assert ada.phone == OTHER

    def test_of_one_person_is_none_of_another(self, here: Client, ada: Recipient) -> None:
        factories.recipient("eve", phone="")
        ask(here)

        assert enter(session_of("eve"), phone.code()).status_code == 422
        assert Recipient.objects.get(external_id="eve").phone == ""

    def test_does_not_overwrite_what_the_service_changed_meanwhile(self, here: Client, ada: Recipient) -> None:
        ask(here)
        PreferencesService().upsert([RecipientInput(external_id="ada", phone=OTHER)])

        assert enter(here, phone.code()).status_code == 422
        ada.refresh_from_db()
        assert ada.phone == OTHER

    def test_is_no_link(self, here: Client, link: str) -> None:
        ask(here)
        assert Client().get(f"/preferences/confirm/{link.split('/')[2]}/").status_code == 404
        assert LinkPurpose(SentLink.objects.get().purpose) is LinkPurpose.PHONE


class TestHowMany:
    def test_three_an_hour_to_one_person_apart_from_mails(self, here: Client, settings: Any) -> None:
        settings.EMAIL_URL = "smtp://mail.example"
        for n in range(3):
            assert ask(here, f"+491511234560{n}").status_code == 303
            assert here.post(PAGE, {"action": "email", "email": f"ada@{n}.example"}).status_code == 303

        answer = ask(here, OTHER)

        assert answer.status_code == 429
        assert "look at your phone" in answer.content.decode()
        assert len(phone.texts) == 3

    def test_three_an_hour_to_one_number_whoever_asks_and_the_fourth_is_told_nothing_else(self, ada: Recipient) -> None:
        people = [factories.recipient(f"eve-{n}", phone="") for n in range(4)]
        told = {post(session_of(one.external_id), PAGE, action="phone", phone=NEW).content for one in people[:3]}
        last = session_of(people[3].external_id)
        told.add(post(last, PAGE, action="phone", phone=NEW).content)

        assert len(phone.texts) == 3
        assert {b"A code is on its way" in page and b'id="code-form"' in page for page in told} == {True}
        assert enter(last, phone.code()).status_code == 422
        assert enter(last, "").status_code == 422  # nothing that was not sent is guessed
        assert Recipient.objects.get(pk=people[3].pk).phone == ""

    def test_so_many_an_hour_of_all_together(self, ada: Recipient, settings: Any) -> None:
        settings.PHONE_CODES_PER_HOUR = 2
        for n in range(2):
            factories.recipient(f"eve-{n}")
            assert ask(session_of(f"eve-{n}"), f"+491511234560{n}").status_code == 303

        assert ask(session_of("ada")).status_code == 429
        assert len(phone.texts) == 2

    def test_a_number_that_replied_stop_gets_none_and_nobody_learns_it(self, here: Client) -> None:
        PreferencesService().suppress("sms", NEW, "stop_keyword")

        page = post(here, PAGE, action="phone", phone=NEW)

        assert "A code is on its way" in page.content.decode()
        assert 'id="code-form"' in page.content.decode()
        assert "STOP: nothing is sent" not in page.content.decode()
        assert phone.texts == []
        for _ in range(codes.MAX_TRIES + 1):
            assert enter(here, "000000").status_code == 422

    def test_haste_does_not_tell_either(self, here: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        pauses: list[float] = []
        monkeypatch.setattr(codes, "ANSWER_SECONDS", 0.7)
        monkeypatch.setattr(codes.time, "sleep", pauses.append)
        PreferencesService().suppress("sms", NEW, "manual")

        ask(here)
        ask(here, OTHER)

        assert len(pauses) == 2
        assert min(pauses) > 0.3

    def test_nor_does_a_provider_that_takes_its_time(self, here: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        couriers, goes_on = ThreadPoolExecutor(1), threading.Event()
        monkeypatch.setattr(codes, "_couriers", couriers)
        monkeypatch.setattr(phone, "goes_on", goes_on)

        answer = ask(here)

        assert (answer.status_code, phone.texts) == (303, [])  # answered, as for a number that gets none
        goes_on.set()
        couriers.shutdown()
        assert enter(here, phone.code()).status_code == 303

    def test_a_provider_that_falls_over_is_said_and_noted_without_the_number(
        self, here: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(phone, "goes_on", None)

        assert ask(here).status_code == 503
        assert "codes.not_sent" in caplog.text
        assert NEW not in caplog.text

    def test_they_are_forgotten_after_a_day(self, here: Client) -> None:
        ask(here)
        SentLink.objects.update(sent_at=timezone.now() - timedelta(hours=25))
        purge()

        assert not SentLink.objects.exists()


class TestWhoMay:
    def test_whoever_has_a_link_changes_no_number(self, link: str, ada: Recipient, here: Client) -> None:
        shown = Client().get(link).content.decode()
        assert 'name="phone"' not in shown
        ask(here)
        assert 'name="code"' not in Client().get(link).content.decode()
        assert NEW not in Client().get(link).content.decode()

        assert Client().post(link, {"action": "phone", "phone": OTHER}).status_code == 403
        answer = Client().post(link, {"action": "code", "code": phone.code()})

        assert answer.status_code == 403
        assert "please sign in" in answer.content.decode()
        ada.refresh_from_db()
        assert ada.phone == OLD
        assert len(phone.texts) == 1

    def test_another_site_posts_in_vain(self, signed_in: Client) -> None:
        assert ask(signed_in).status_code == 403
        assert phone.texts == []

    def test_looking_sends_nothing(self, here: Client) -> None:
        here.get(f"{PAGE}?action=phone&phone={NEW}&did=text")

        assert not SentLink.objects.exists()

    @pytest.mark.parametrize(
        ("name", "value"),
        [("TEXT_SENDER", ""), ("PHONE_CODES_PER_HOUR", 0), ("PROVIDER_CHAINS", {"sms": []})],
    )
    def test_where_no_text_messages_are_sent_it_is_not_offered(
        self, here: Client, settings: Any, name: str, value: Any
    ) -> None:
        setattr(settings, name, value)

        assert "please write to the service" in here.get(PAGE).content.decode()
        assert ask(here).status_code == 422
        assert not SentLink.objects.exists()
