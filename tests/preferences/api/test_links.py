"""The link to the preference centre that a host system asks for."""

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client
from django.utils import timezone

from tests import factories
from tests.api import Api

pytestmark = pytest.mark.django_db


def test_it_opens_the_persons_page(settings: Any) -> None:
    settings.PREFERENCES_LINK_DAYS = 7
    factories.recipient("a/b", email="ada@example.com")

    answer = Api().post("recipients/a%2Fb/preferences-link/")

    assert answer.status_code == 201
    said = answer.json()  # type: ignore[attr-defined]  # of Django's test client
    assert said["url"].startswith(f"{settings.PUBLIC_URL}/preferences/")
    ends = datetime.fromisoformat(said["expires_at"])
    assert abs(ends - timezone.now() - timedelta(days=7)) < timedelta(minutes=5)
    assert "a•••@e•••.com" in Client().get(urlsplit(said["url"]).path).content.decode()


def test_nobody_has_none() -> None:
    assert Api().post("recipients/nobody/preferences-link/").status_code == 404
    assert Api(scopes=["recipients:read"]).post("recipients/nobody/preferences-link/").status_code == 403
