"""The demo's segments and list: made once, and of people there are."""

import pytest

from campaigns.models import RecipientList, Segment
from campaigns.segments import estimate
from config.demo_data import audiences
from tests import factories

pytestmark = pytest.mark.django_db


def test_what_is_there_already_stays_as_it_is():
    factories.recipient("ada", attributes={"plan": "pro", "orders": 12})
    audiences.seed()
    Segment.objects.filter(name="Loyal customers").update(description="Ours")

    audiences.seed()

    assert Segment.objects.count() == len(audiences.SEGMENTS)
    assert Segment.objects.get(name="Loyal customers").description == "Ours"
    assert [estimate(segment.definition).people for segment in Segment.objects.all()] == [1, 1]
    assert RecipientList.objects.get().size == 1
