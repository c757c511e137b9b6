import time
from collections.abc import Callable

import pytest
from django.test import Client

from core import ids
from preferences.centre import tokens
from preferences.models import Preference, Recipient
from preferences.visiting import SESSION_KEY
from tests import factories


@pytest.fixture
def ada(db: None) -> Recipient:
    return factories.recipient("ada", name="Ada Lovelace", email="ada@example.com", phone="+4915112345678")


@pytest.fixture
def link(ada: Recipient) -> str:
    """The path of Ada's page, as a message leads there."""
    return f"/preferences/{tokens.make(ids.key(ada.pk), now=time.time())}/"


@pytest.fixture
def signed_in(ada: Recipient) -> Client:
    """A browser with Ada's session, which checks where forms come from."""
    client = Client(enforce_csrf_checks=True)
    session = client.session
    session[SESSION_KEY] = "ada"
    session.save()
    return client


@pytest.fixture
def here(ada: Recipient) -> Client:
    """Ada's session."""
    client = Client()
    session = client.session
    session[SESSION_KEY] = "ada"
    session.save()
    return client


@pytest.fixture
def words() -> Callable[[], set[tuple[str | None, str, bool]]]:
    """What was said: (category, channel, on)."""
    return lambda: set(Preference.objects.values_list("category__slug", "channel", "enabled"))
