"""The list of deliveries, narrowed as the dashboard's numbers need it."""

from collections.abc import Mapping

import pytest
from django.utils import timezone

from notifications.choices import FailureCode, SkipReason, Status
from notifications.models import Delivery
from tests import factories
from tests.admin import notification, page, signed_in

pytestmark = pytest.mark.django_db


def shown(query: Mapping[str, object]) -> set[str]:
    """The channels of the deliveries that the list shows."""
    answer = signed_in(may="everything").get(page(Delivery), query)
    assert answer.status_code == 200
    return {row.channel for row in answer.context["cl"].result_list}


@pytest.fixture
def four() -> None:
    """One notification whose four deliveries came to four ends."""
    factories.recipient("ada", phone="")
    sent = notification("ada")
    ends: dict[str, dict[str, object]] = {
        "email": {
            "status": Status.DELIVERED,
            "provider": "simulated_email",
            "attempts": 3,
            "opened_at": timezone.now(),
        },
        "push": {
            "status": Status.FAILED,
            "provider": "simulated_push",
            "error_code": FailureCode.REJECTED,
            "attempts": 1,
        },
        "in_app": {"status": Status.QUEUED, "attempts": 2, "holds": 2},
    }
    for channel, values in ends.items():
        if channel == "email":
            values |= {"sent_at": timezone.now(), "delivered_at": timezone.now()}
        Delivery.objects.filter(notification=sent, channel=channel).update(**values)


@pytest.mark.parametrize(
    ("query", "channels"),
    [
        ({"outcome": "sent"}, {"email"}),
        ({"outcome": "delivered"}, {"email"}),
        ({"outcome": "opened"}, {"email"}),
        ({"outcome": "clicked"}, set()),
        ({"outcome": "retried"}, {"email"}),
        ({"outcome": "held"}, {"in_app"}),
        ({"outcome": "waiting"}, {"in_app"}),
        ({"outcome": "failed"}, {"push"}),
        ({"outcome": "skipped"}, {"sms"}),
        ({"reason": SkipReason.NO_ADDRESS}, {"sms"}),
        ({"reason": FailureCode.REJECTED}, {"push"}),
        ({"provider": "simulated_push"}, {"push"}),
    ],
)
def test_what_became_of_them(four: None, query: dict[str, object], channels: set[str]):
    assert shown(query) == channels


def test_one_category(four: None):
    factories.recipient("bob")
    other = factories.category("alerts")
    notification("bob", category="alerts")

    client = signed_in(may="everything")
    assert Delivery.objects.count() == 8
    for category, count in ((other.pk, 4), (factories.category("orders").pk, 4), (9999, 0)):
        rows = client.get(page(Delivery), {"category": category}).context["cl"].result_list
        assert len(rows) == count


@pytest.mark.parametrize(
    "query", [{"outcome": "nonsense"}, {"reason": "\x00"}, {"provider": "\x00"}, {"category": "٣"}]
)
def test_what_makes_no_sense_narrows_nothing_and_breaks_nothing(four: None, query: dict[str, object]):
    assert shown(query) == {"email", "push", "sms", "in_app"}
