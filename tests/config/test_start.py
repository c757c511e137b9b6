"""The bare address and the pages that are not there."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

pytestmark = pytest.mark.django_db


def test_a_demo_opens_with_the_ways_in(client: Client, settings) -> None:
    settings.DEMO = True

    page = client.get("/").content.decode()

    assert all(f'href="{way}"' in page for way in ("/inbox/", "/admin/", "/api/docs/"))


def test_production_opens_with_the_admin_and_tells_no_password(client: Client, settings) -> None:
    settings.DEMO = False

    answer = client.get("/")

    assert answer.status_code == 302
    assert answer["Location"] == "/admin/"


def test_a_page_that_is_not_there_leads_back(client: Client) -> None:
    answer = client.get("/nowhere/")

    assert answer.status_code == 404
    assert 'href="/"' in answer.content.decode()


def test_a_page_that_is_not_for_this_account_says_so(client: Client) -> None:
    client.force_login(User.objects.create_user("clerk", is_staff=True))

    answer = client.get("/admin/notifications/apikey/")

    assert answer.status_code == 403
    assert "Ask an administrator" in answer.content.decode()


def test_a_fault_is_told_without_its_cause(client: Client, monkeypatch) -> None:
    client.raise_request_exception = False

    def break_down(*args: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("config.start.redirect", break_down)
    monkeypatch.setattr("config.start.render", break_down)

    answer = client.get("/")

    assert answer.status_code == 500
    assert "Something went wrong" in answer.content.decode()
    assert "secret detail" not in answer.content.decode()
