"""Logs hold no address, no body and no token, whatever goes wrong and however much is asked for."""

import io
import logging
from collections.abc import Iterator

import pytest
import structlog
from django.conf import settings
from django.db import DataError, IntegrityError, connection, transaction
from django.test import Client

from channels_app import identity, tickets
from config.log import exception_text, logging_config
from core.api import validation as api_validation
from notifications.choices import Channel, FailureCode
from notifications.models import OutboxMessage
from notifications.providers.base import Failure
from preferences.models import Recipient
from tests import factories
from tests.api import Api
from tests.notifications.fakes import FakeProvider, use_provider
from tests.notifications.test_pipeline import work

pytestmark = pytest.mark.django_db(transaction=True)

EMAIL, PHONE, NAME = "ada.secret@example.com", "+12025550143", "Ada Unutterable"
DEVICE, BODY = "device-token-unutterable", "the code is 493021"
SECRETS = [EMAIL, EMAIL.partition("@")[0], PHONE, PHONE.lstrip("+"), NAME, DEVICE, BODY, "493021"]


@pytest.fixture(params=["json", "console"])
def logged(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """Everything that is logged, from DEBUG on, as the production configuration writes it."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    logging_config(level="DEBUG", json=request.param == "json")
    written = io.StringIO()
    for handler in root.handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setStream(written)
    yield written
    logging_config(level=settings.LOG_LEVEL, json=settings.LOG_JSON)
    root.handlers[:] = before
    root.setLevel(level)


@pytest.fixture
def ada() -> Recipient:
    person = factories.recipient(EMAIL, email=EMAIL, phone=PHONE, name=NAME, devices=0)
    factories.device(person, token=DEVICE)
    return person


@pytest.fixture
def shop() -> None:
    factories.category("orders")
    factories.template("order-shipped")


class TalkativeProvider(FakeProvider):
    """Its failures quote what they were given, as vendors' do."""

    async def send(self, messages):
        if self._crash:
            raise RuntimeError(f"550 no such user {messages[0].address}: {dict(messages[0].content)}")
        return [
            Failure(FailureCode.CONTENT_REFUSED, temporary=False, detail=f"550 {m.address} {dict(m.content)}")
            for m in messages
        ]


def quiet(text: str, *more: str) -> None:
    """None of the secrets stands in the text."""
    told = [secret for secret in (*SECRETS, *more) if secret in text]
    assert told == [], text


def asked(api: Api) -> int:
    """A notification with everything that must not be told."""
    body = {
        "recipient": EMAIL,
        "category": "orders",
        "content": {"title": BODY, "body": BODY},
        "metadata": {"note": BODY},
        "dedup_key": EMAIL,
    }
    return api.post("notifications/", body, Idempotency_Key=EMAIL).status_code


@pytest.mark.usefixtures("shop")
class TestAWholeSend:
    def test_that_succeeds(self, logged: io.StringIO, ada: Recipient) -> None:
        api = Api()
        assert asked(api) == 202
        assert work()
        assert api.get(f"recipients/{EMAIL}/").status_code == 200

        quiet(logged.getvalue(), api.token, api.token.rsplit("_", 1)[1])

    @pytest.mark.parametrize("crash", [False, True])
    def test_whose_provider_fails_with_the_address_on_its_lips(self, logged, ada, settings, crash: bool) -> None:
        provider = use_provider(settings, TalkativeProvider("talkative"))
        if crash:
            provider.crash()
        api = Api()
        asked(api)

        work()

        quiet(logged.getvalue(), api.token)
        assert not crash or "worker.provider_crashed" in logged.getvalue()

    def test_that_cannot_be_recorded(self, logged, ada, monkeypatch) -> None:
        def refuse(*args: object, **kwargs: object) -> None:
            raise IntegrityError(f'duplicate key\nDETAIL:  Key (address)=({EMAIL}) already exists. "{BODY}"')

        asked(Api())
        monkeypatch.setattr("notifications.services.tracking.DeliveryTracker.record", refuse)

        with pytest.raises(IntegrityError):  # nothing is acked
            work(Channel.EMAIL)

        assert "IntegrityError" in logged.getvalue()
        quiet(logged.getvalue())


@pytest.mark.usefixtures("shop")
class TestTheApi:
    def test_refusals(self, logged, ada) -> None:
        api = Api(scopes=[])
        asked(api)
        Api().post("notifications/", {"recipient": EMAIL, "category": "orders", "content": BODY, BODY: 1})
        Api().put(f"recipients/{EMAIL}/", {"email": BODY, "phone": BODY, "name": NAME + "\r\n"})
        Api().call("POST", "notifications/", BODY.encode())
        Client(headers={"Authorization": f"Bearer {api.token}x"}).get(f"/api/v1/recipients/{EMAIL}/")
        Client().get(f"/api/v1/nowhere/{EMAIL}/?email={EMAIL}")
        Client().get(f"/nowhere/{EMAIL}", headers={"Host": "evil.example"})

        quiet(logged.getvalue(), api.token)

    def test_a_bug(self, logged, ada, monkeypatch) -> None:
        def fall_over(*args: object) -> None:
            try:
                int(EMAIL)
            except ValueError as error:
                raise DataError(f"invalid input syntax: {BODY} for {PHONE}") from error

        monkeypatch.setattr(api_validation, "read", fall_over)

        answer = Api().patch(f"recipients/{EMAIL}/", {"name": NAME})

        assert answer.status_code == 500
        quiet(logged.getvalue())
        quiet(answer.content.decode().replace(f'"instance":"/api/v1/recipients/{EMAIL}/"', ""))
        for told in ("DataError", "ValueError", "fall_over", "recipients/<path:external_id>/"):
            assert told in logged.getvalue()

    def test_what_lets_a_person_in(self, logged, ada) -> None:
        token = identity.issue_token(ada.id).token
        feed = Client(headers={"Authorization": f"Bearer {token}"})
        ticket = feed.post("/api/v1/feed/socket-ticket/").json()["ticket"]
        who = identity.from_token(token)
        assert tickets.redeem(ticket) == who
        Client(headers={"Authorization": f"Bearer {token}x"}).get("/api/v1/feed/")

        quiet(logged.getvalue(), token, token.rsplit(".", 1)[1], ticket)


class TestExceptions:
    def test_postgresql_quotes_the_row_and_the_log_does_not(self, logged, ada) -> None:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SELECT %s::int", [EMAIL])
        except DataError:
            structlog.get_logger("test").exception("it_happened")
            logging.getLogger("elsewhere").exception("it happened there")

        assert logged.getvalue().count("DataError") >= 2
        quiet(logged.getvalue())

    def test_what_the_code_says_of_itself_is_kept(self) -> None:
        try:
            OutboxMessage().no_such_thing  # noqa: B018
        except AttributeError as error:
            text = exception_text((type(error), error, error.__traceback__))

        assert "no_such_thing" in text
        assert "test_logs.py" in text

    def test_an_exception_that_caused_itself_ends(self) -> None:
        one, two = ValueError("a"), ValueError("b")
        one.__cause__, two.__cause__ = two, one

        assert exception_text((ValueError, one, None)).count("ValueError") == 2
