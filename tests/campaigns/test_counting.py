"""A count that takes too long becomes an estimate, and says so."""

import pytest
from django.db import connection

from campaigns.services import counting
from tests import factories

pytestmark = pytest.mark.django_db


def test_it_is_exact_while_that_is_quick():
    factories.recipients(50)

    assert counting.count("r.external_id LIKE %s", ["person-1%"]) == counting.Count(11)


def test_a_count_that_takes_too_long_is_estimated():
    factories.recipients(50)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE preferences_recipient")

    found = counting.count("(pg_sleep(0.002) IS NULL OR r.external_id LIKE %s)", ["person-1%"], milliseconds=20)

    assert not found.is_exact
    assert found.people <= 50


def test_what_follows_has_its_usual_time():
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        usual = cursor.fetchone()
        counting.count("TRUE", [])
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == usual
