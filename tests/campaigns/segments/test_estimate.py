"""How many people that is, exactly or about, and some of them."""

import pytest
from django.db import connection, transaction

from campaigns.models import Segment
from campaigns.segments import DefinitionInvalid, Estimate, estimate, estimating, sample
from campaigns.segments.services import SegmentService, Wishes
from core.statements import bounded
from tests import factories
from tests.campaigns.segments.people import condition

pytestmark = pytest.mark.django_db

HALF = {"all": [condition("external_id", "in", [f"person-{n}" for n in range(0, 400, 2)])]}


def analysed(people: int) -> None:
    factories.recipients(people)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE preferences_recipient")


@pytest.fixture
def no_time_to_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every exact count takes longer than it may."""

    def too_slow(sql: str, parameters: list) -> int:
        raise estimating.StatementTooSlow

    monkeypatch.setattr(estimating, "_exact", too_slow)


class TestEstimate:
    def test_what_is_quick_is_counted(self):
        factories.recipients(400)

        assert estimate(HALF) == Estimate(200, is_exact=True)
        assert str(estimate({})) == "400"

    @pytest.mark.usefixtures("no_time_to_count")
    def test_what_is_slow_is_counted_among_some_and_says_so(self, monkeypatch):
        analysed(400)
        assert estimate(HALF) == Estimate(200, is_exact=False)

        monkeypatch.setattr(estimating, "_SMALL", 100)
        monkeypatch.setattr(estimating, "_STEPS", (200, 1_000))
        found = estimate({"all": [condition("email", "is_set")]})

        assert found == Estimate(400, is_exact=False)
        assert str(found) == "about 400"

    @pytest.mark.usefixtures("no_time_to_count")
    def test_a_table_that_was_never_analysed_is_no_empty_one(self):
        factories.recipients(40)

        assert estimate({}) == Estimate(40, is_exact=False)

    @pytest.mark.usefixtures("no_time_to_count")
    def test_nobody_among_some_is_not_nobody_at_all(self, monkeypatch):
        analysed(400)
        found = estimate({"all": [condition("name", "contains", "no such name")]})

        assert not found.is_exact
        assert 0 < found.people <= 3

    @pytest.mark.usefixtures("no_time_to_count")
    def test_what_is_slow_everywhere_is_guessed_and_no_more_than_there_are(self, monkeypatch):
        analysed(400)
        monkeypatch.setattr(estimating, "SAMPLED_MS", 0)

        found = estimate({"all": [condition("email", "is_set")]})

        assert not found.is_exact
        assert 0 < found.people <= 400

    def test_a_statement_that_takes_too_long_is_given_up(self, monkeypatch):
        analysed(400)
        monkeypatch.setattr(
            estimating, "where", lambda _, few=False: ("(SELECT pg_sleep(20)) IS NULL OR r.email <> ''", [])
        )
        monkeypatch.setattr(estimating, "EXACT_MS", 30)
        monkeypatch.setattr(estimating, "SAMPLED_MS", 30)
        monkeypatch.setattr(estimating, "SHOWN_MS", 30)

        assert not estimate({}).is_exact
        assert sample({}) == []

    def test_figures_of_a_sample_are_round(self):
        assert [estimating._rounded(n) for n in (7, 99, 123, 1_987, 987_654)] == [7, 99, 120, 2_000, 990_000]

    def test_what_is_wrong_is_not_counted(self):
        with pytest.raises(DefinitionInvalid):
            estimate({"all": []})


class TestSample:
    def test_shows_the_newest_of_those_who_meet_it(self):
        people = factories.recipients(30)

        shown = sample(HALF, limit=3)

        newest = sorted((p for n, p in enumerate(people) if n % 2 == 0), key=lambda p: p.id, reverse=True)
        assert [one.external_id for one in shown] == [p.external_id for p in newest[:3]]

    def test_is_bounded(self):
        factories.recipients(60)

        assert len(sample({}, limit=1000)) == estimating.MAX_SHOWN


def test_a_bound_ends_with_what_it_is_around():
    def setting(name: str) -> str:
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting(%s)", [name])
            return cursor.fetchone()[0]

    with transaction.atomic():
        before = setting("statement_timeout"), setting("enable_hashjoin")
        with bounded(100), estimating._person_by_person():
            assert (setting("statement_timeout"), setting("enable_hashjoin")) == ("100ms", "off")
        assert (setting("statement_timeout"), setting("enable_hashjoin")) == before


class TestRemembered:
    def test_a_count_is_kept_until_the_conditions_change(self):
        factories.recipients(10)
        segment = SegmentService().create(Wishes("All", "", {}), by=None)
        assert segment.people is None

        SegmentService().count(segment)
        segment.refresh_from_db()
        assert (segment.people, segment.is_exact) == (10, True)

        SegmentService().change(segment, Wishes(name="Everyone"))
        assert Segment.objects.get(pk=segment.pk).people == 10
        SegmentService().change(segment, Wishes(definition=HALF))
        assert Segment.objects.get(pk=segment.pk).people is None

    def test_a_count_of_other_conditions_is_not_kept(self):
        segment = SegmentService().create(Wishes("All", "", {}), by=None)

        SegmentService().remember(segment.pk, HALF, Estimate(5, is_exact=True))

        assert Segment.objects.get(pk=segment.pk).people is None
