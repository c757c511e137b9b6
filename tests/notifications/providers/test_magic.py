"""Each magic recipient forces its outcome, whatever the rates say."""

from pathlib import Path

import phonenumbers
import pytest
from django.core.validators import validate_email

from notifications.choices import Channel, FailureCode
from notifications.models import SimulatedReceipt
from notifications.providers import magic
from notifications.providers.base import Failure, Receipt
from notifications.providers.simulated import SimulatedProvider
from tests.notifications.providers import test_simulated
from tests.notifications.providers.contract import send

CONTRACTS = {
    Channel.EMAIL: test_simulated.TestSimulatedEmail(),
    Channel.SMS: test_simulated.TestSimulatedSms(),
    Channel.PUSH: test_simulated.TestSimulatedPush(),
    Channel.IN_APP: test_simulated.TestSimulatedInApp(),
}
#: name -> the answers to attempts 1, 2, 3, and what is reported once it is taken
EXPECTED: dict[str, tuple[list[str], list[str]]] = {
    "success": (["accepted"] * 3, ["delivered"]),
    "open": (["accepted"] * 3, ["delivered", "opened"]),
    "click": (["accepted"] * 3, ["delivered", "opened", "clicked"]),
    "silent": (["accepted"] * 3, []),
    "bounce": (["accepted"] * 3, ["bounced"]),
    "complaint": (["accepted"] * 3, ["delivered", "complained"]),
    "temporary": (["unavailable"] * 3, []),
    "flaky": (["unavailable", "unavailable", "accepted"], ["delivered"]),
    "throttle": (["throttled", "accepted", "accepted"], ["delivered"]),
    "timeout": (["timeout"] * 3, []),
    "invalid": (["invalid_address"] * 3, []),
    "reject": (["rejected"] * 3, []),
    "content": (["content_refused"] * 3, []),
    "large": (["too_large"] * 3, []),
}


def address(channel: str, name: str) -> str:
    digits = next(entry.digits for entry in magic.TABLE if entry.name == name)
    return {
        Channel.EMAIL: f"{name}@carillon.test",
        Channel.SMS: f"+190755501{digits}",
        Channel.PUSH: f"magic-{name}",
        Channel.IN_APP: f"magic-{name}",
    }[Channel(channel)]


def test_the_table_is_tested_whole() -> None:
    assert {entry.name for entry in magic.TABLE} == set(EXPECTED)
    assert len({entry.digits for entry in magic.TABLE}) == len(magic.TABLE)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("channel", list(Channel))
@pytest.mark.parametrize("name", list(EXPECTED))
def test_a_magic_recipient_forces_its_outcome(channel: str, name: str) -> None:
    # Given rates that say the opposite
    provider = SimulatedProvider("simulated", success_rate=0.0, temporary_rate=0.0, receipts=True, bounce_rate=0.5)
    message = CONTRACTS[Channel(channel)].message
    # When three attempts go to the magic recipient
    answers, reports = EXPECTED[name]
    for attempt, expected in enumerate(answers, 1):
        SimulatedReceipt.objects.all().delete()
        (outcome,) = send(provider, [message(address=address(channel, name), attempt=attempt, claim=attempt)])
        # Then each is answered as the table says
        assert (outcome.code.value if isinstance(outcome, Failure) else "accepted") == expected
    # And what was taken is reported on as the table says
    told = SimulatedReceipt.objects.order_by("due_at", "id").values_list("type", flat=True)
    assert list(told) == reports


def test_temporary_and_permanent_are_told_apart() -> None:
    for entry in magic.TABLE:
        if entry.failure is not None:
            assert entry.failure.temporary == (entry.name in {"temporary", "flaky", "throttle", "timeout"})


def test_a_throttle_names_its_time() -> None:
    (outcome,) = send(SimulatedProvider("s"), [CONTRACTS[Channel.EMAIL].message(address="throttle@carillon.test")])

    assert outcome == Failure(FailureCode.THROTTLED, True, "Simulated: 429 Too Many Requests.", 2.0)


@pytest.mark.parametrize(
    ("channel", "given"),
    [
        (Channel.EMAIL, "reject+order-17@carillon.test"),
        (Channel.PUSH, "magic-reject-phone-of-ada"),
        (Channel.IN_APP, "magic-reject-17"),
    ],
)
def test_many_recipients_may_share_an_outcome(channel: str, given: str) -> None:
    (outcome,) = send(SimulatedProvider("s"), [CONTRACTS[Channel(channel)].message(address=given)])

    assert isinstance(outcome, Failure)


@pytest.mark.parametrize(
    ("channel", "given"),
    [
        (Channel.EMAIL, "reject@example.com"),
        (Channel.EMAIL, "nobody@carillon.test"),
        (Channel.EMAIL, "reject@carillon.test.example.com"),
        (Channel.SMS, "+19075550199"),
        (Channel.SMS, "+12025550131"),
        (Channel.PUSH, "reject"),
        (Channel.PUSH, "magic-"),
        (Channel.PUSH, "a-magic-reject"),
    ],
)
def test_others_are_not_magic(channel: str, given: str) -> None:
    (outcome,) = send(SimulatedProvider("s"), [CONTRACTS[Channel(channel)].message(address=given)])

    assert isinstance(outcome, Receipt)


@pytest.mark.parametrize("entry", magic.TABLE, ids=lambda entry: entry.name)
def test_magic_addresses_are_valid_ones(entry: magic.Magic) -> None:
    validate_email(address(Channel.EMAIL, entry.name))
    assert phonenumbers.is_valid_number(phonenumbers.parse(address(Channel.SMS, entry.name)))


def test_the_documentation_lists_the_table() -> None:
    page = (Path(__file__).parents[3] / "docs" / "providers.md").read_text()

    for entry in magic.TABLE:
        assert f"| `{entry.name}` | `{entry.digits}` | {entry.meaning} |" in page
