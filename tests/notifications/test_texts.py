"""Text messages past the pipeline: down the chain of providers as every message, once, and without a record."""

from typing import Any
from uuid import uuid4

import pytest

from notifications.choices import FailureCode
from notifications.models import Delivery, Notification, ProviderSwitch
from notifications.providers.gate import ProviderGate
from notifications.services import texts
from tests.notifications.fakes import FakeProvider, use_provider

pytestmark = pytest.mark.django_db

NUMBER = "+4915112345678"


@pytest.fixture(autouse=True)
def chain(settings: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[FakeProvider, FakeProvider]:
    monkeypatch.setattr(texts, "_gate", ProviderGate())
    first, second = FakeProvider("first"), FakeProvider("second")
    use_provider(settings, first, second)
    return first, second


def send() -> bool:
    return texts.send(uuid4(), NUMBER, "123456 is your code")


def test_the_first_provider_gets_it_and_nothing_stays(chain: tuple[FakeProvider, FakeProvider]) -> None:
    assert send()

    [call] = chain[0].calls
    assert (call.channel, call.address, call.content) == ("sms", NUMBER, {"body": "123456 is your code"})
    assert chain[1].calls == []
    assert not Delivery.objects.exists()
    assert not Notification.objects.exists()


def test_what_one_surely_did_not_take_goes_to_the_next(chain: tuple[FakeProvider, FakeProvider]) -> None:
    chain[0].fail_temporarily(times=1)

    assert send()
    assert len(chain[1].calls) == 1


def test_one_that_is_switched_off_is_not_asked(chain: tuple[FakeProvider, FakeProvider]) -> None:
    ProviderSwitch.objects.create(provider="first", reason="a test", by="ada")

    assert send()
    assert chain[0].calls == []


def test_what_may_have_been_taken_goes_to_nobody_else(chain: tuple[FakeProvider, FakeProvider]) -> None:
    chain[0].fail_temporarily(times=1, code=FailureCode.TIMEOUT)

    assert not send()
    assert chain[1].calls == []


@pytest.mark.parametrize("how", ["crash", "refuse_address"])
def test_a_provider_that_crashes_or_refuses_is_no_error(chain: tuple[FakeProvider, FakeProvider], how: str) -> None:
    getattr(chain[0], how)()

    assert not send()


def test_without_a_provider_it_is_not_sent(settings: Any) -> None:
    settings.PROVIDER_CHAINS = {**settings.PROVIDER_CHAINS, "sms": []}

    assert not send()
