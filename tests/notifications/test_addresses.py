"""What a refused address means for later messages, and that an odd one stops nobody."""

import pytest

from notifications.choices import Status
from notifications.messaging.base import Verdict
from notifications.models import Delivery
from tests import factories
from tests.notifications.fakes import FakeProvider, use_provider
from tests.notifications.test_pipeline import draft, send, work

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_refused_address_that_cannot_be_suppressed_does_not_fail_the_batch(settings):
    factories.category("orders")
    factories.template("order-shipped")
    factories.recipient("odd", email='"\x01"@example.com')  # as an earlier release took it
    factories.recipient("ann")
    use_provider(settings, FakeProvider("fake")).refuse_address()
    send(draft("odd", channels=["email"]), draft("ann", channels=["email"]))

    assert work() == [Verdict.DONE]

    assert set(Delivery.objects.values_list("status", flat=True)) == {Status.FAILED}
    send(draft("odd", channels=["email"]), draft("ann", channels=["email"]))
    later = Delivery.objects.exclude(status=Status.FAILED)
    assert dict(later.values_list("recipient__external_id", "skip_reason")) == {"odd": "", "ann": "suppressed"}
