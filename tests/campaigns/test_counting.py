"""A count that takes too long becomes an estimate, and says so."""

import pytest
from django.db import connection

from campaigns.models import Segment
from campaigns.segments import estimating
from campaigns.services import AudienceService, counting
from tests import factories
from tests.campaigns.conftest import make_campaign

pytestmark = pytest.mark.django_db

STARTS = ("r.external_id LIKE %s", ["person-1%"])
#: Two milliseconds a person: of fifty people too long for twenty, of any number for one.
SLOW = ("(pg_sleep(0.002) IS NULL OR r.external_id LIKE %s)", ["person-1%"])


def counted(condition, few=STARTS, **options) -> counting.Count:
    return counting.count(condition, lambda: few, **options)


def test_it_is_exact_while_that_is_quick():
    factories.recipients(50)

    assert counted(STARTS) == counting.Count(11)


def test_a_count_that_takes_too_long_is_estimated():
    factories.recipients(50)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE preferences_recipient")

    found = counted(SLOW, milliseconds=20)

    assert not found.is_exact
    assert found.people == 11


def test_an_estimate_has_its_bound_as_well(monkeypatch):
    monkeypatch.setattr(estimating, "SAMPLED_MS", 20)
    factories.recipients(50)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE preferences_recipient")

    found = counted(SLOW, few=("(pg_sleep(1) IS NULL)", []), milliseconds=20)

    assert (found.is_exact, 1 <= found.people <= 50) == (False, True)


def test_a_segment_is_estimated_by_what_is_quick_for_a_few(monkeypatch):
    """A look into one person's deliveries, instead of gathering everybody's."""
    opened = {"all": [{"field": "opened", "op": "within_days", "value": {"days": 30}}]}
    campaign = make_campaign(audience="segment", segment=Segment.objects.create(name="Openers", definition=opened))
    left_out = Segment.objects.create(name="Clickers", definition={"all": [{**opened["all"][0], "field": "clicked"}]})
    campaign.exclude_segments.add(left_out)

    for_all, for_few = (AudienceService().condition(campaign, few=few)[0] for few in (False, True))

    assert for_all.count("OFFSET 0") < for_few.count("OFFSET 0") == 2


def test_what_follows_has_its_usual_time():
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        usual = cursor.fetchone()
        counted(("TRUE", []))
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == usual
