"""/inbox/ without a browser: who gets what, and under which policy."""

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

from channels_app import identity
from preferences.models import Recipient
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def person() -> Recipient:
    return factories.recipient("ada", devices=0)


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "DEMO", True)
    monkeypatch.setattr(settings, "DEMO_RECIPIENT", "ada")


@pytest.fixture
def production(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "DEMO", False)


@pytest.mark.usefixtures("demo")
def test_the_demo_offers_somebody_to_be(client: Client, person: Recipient) -> None:
    assert "Continue as ada" in client.get("/inbox/").content.decode()

    client.post("/inbox/sign-in/")

    assert client.session[identity.SESSION_KEY] == "ada"
    assert "<carillon-inbox" in client.get("/inbox/").content.decode()


@pytest.mark.usefixtures("demo")
def test_a_demo_without_its_people_says_how_to_make_them(client: Client) -> None:
    assert "seed_demo" in client.get("/inbox/").content.decode()


@pytest.mark.usefixtures("production")
def test_production_sends_a_visitor_to_the_sign_in_page(client: Client) -> None:
    answer = client.get("/inbox/")

    assert (answer.status_code, answer["Location"]) == (302, "/admin/login/?next=/inbox/")


@pytest.mark.usefixtures("production")
def test_production_lets_nobody_be_somebody(client: Client, person: Recipient) -> None:
    assert client.post("/inbox/sign-in/").status_code == 404
    assert identity.SESSION_KEY not in client.session


@pytest.mark.usefixtures("production")
def test_an_account_that_is_no_recipient_is_told_so(client: Client) -> None:
    client.force_login(User.objects.create_user("bob"))

    answer = client.get("/inbox/")

    assert answer.status_code == 200
    assert "No inbox for this account" in answer.content.decode()


@pytest.mark.usefixtures("demo")
def test_signing_in_and_out_needs_a_csrf_token(person: Recipient) -> None:
    client = Client(enforce_csrf_checks=True)

    assert client.post("/inbox/sign-in/").status_code == 403
    assert client.post("/inbox/sign-out/").status_code == 403


@pytest.mark.usefixtures("demo")
def test_the_page_runs_no_inline_script_and_is_framed_by_nobody(client: Client, person: Recipient) -> None:
    client.post("/inbox/sign-in/")
    answer = client.get("/inbox/")

    policy = answer["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    page = answer.content.decode()
    assert "<script>" not in page
    assert "style=" not in page
    assert " on" not in page.split("<body>")[1].replace(" on ", " ")
