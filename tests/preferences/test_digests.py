"""What people say about digests, and what holds in the end."""

from datetime import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import redis
from preferences.choices import DigestMode, DigestRhythm
from preferences.digesting import NO_DIGEST, DigestRule, DigestWord, in_force, rule_of
from preferences.digesting.wording import how_often
from preferences.errors import BatchRejected
from preferences.models import DigestChoice
from preferences.services import DigestChange, PreferencesService, RecipientInput
from preferences.signals import digests_changed
from tests import factories

FIXED = DigestRule(DigestMode.FIXED.value, 600, template="comments", channels=("email",), first_at_once=True)
words = st.builds(
    DigestWord,
    st.sampled_from(DigestRhythm.values),
    st.none() | st.times().map(lambda at: at.replace(second=0, microsecond=0)),
    st.none() | st.integers(0, 6),
)


@pytest.fixture
def service(db: None) -> PreferencesService:
    factories.recipient("ann")
    factories.category("comments", digest_mode="fixed", digest_window_seconds=600)
    factories.category("orders")
    factories.category("security", is_required=True)
    return PreferencesService()


def rule(service: PreferencesService, category: str) -> DigestRule | None:
    return rule_of(service.reach(["ann"])["ann"], service.categories([category])[category])


@given(st.none() | words)
def test_a_required_category_is_never_gathered(word):
    assert in_force(FIXED, word, is_required=True) is None


@given(words)
def test_a_word_changes_when_and_neither_where_nor_the_wording(word):
    found = in_force(FIXED, word, is_required=False)

    assert (found is None) is (word.rhythm == "as_it_comes")
    if found is not None:
        assert (found.template, found.channels) == (FIXED.template, FIXED.channels)


def test_daily_and_weekly_take_from_the_category_what_the_person_left_open():
    rule = DigestRule(at=time(7, 30), weekdays=(4,))

    assert how_often(in_force(rule, DigestWord("daily"), is_required=False)) == "Every day at 07:30"
    assert how_often(in_force(rule, DigestWord("weekly"), is_required=False)) == "Fridays at 07:30"
    assert how_often(in_force(rule, DigestWord("weekly", time(18), 0), is_required=False)) == "Mondays at 18:00"
    assert how_often(in_force(NO_DIGEST, DigestWord("hourly"), is_required=False)) == "Gathered for 1 hour"
    assert how_often(in_force(NO_DIGEST, DigestWord("default"), is_required=False)) == "As it comes"


def test_who_said_nothing_gets_what_the_category_does(service):
    assert service.reach(["ann"])["ann"].digests == ()
    assert rule(service, "comments") == DigestRule("fixed", 600)
    assert rule(service, "orders") is None


def test_the_narrower_word_wins_and_a_word_taken_back_counts_no_more(service):
    service.set_digests("ann", [DigestChange(None, "daily", time(18, 30)), DigestChange("orders", "as_it_comes")])
    assert rule(service, "orders") is None
    assert how_often(rule(service, "comments")) == "Every day at 18:30"
    assert rule(service, "security") is None

    service.set_digests("ann", [DigestChange("comments", "default"), DigestChange("orders", None)])
    assert how_often(rule(service, "comments")) == "Gathered for 10 minutes"
    assert how_often(rule(service, "orders")) == "Every day at 18:30"

    service.set_digests("ann", [DigestChange(None, "default"), DigestChange("comments", "weekly", time(8), 6)])
    assert how_often(rule(service, "comments")) == "Sundays at 08:00"
    assert rule(service, "orders") is None
    assert DigestChoice.objects.count() == 1


def test_the_word_is_there_with_and_without_the_cache(service):
    service.set_digests("ann", [DigestChange("orders", "weekly", time(8, 5), 3), DigestChange(None, "hourly")])

    read = service.reach(["ann"])["ann"]
    cached = service.reach(["ann"])["ann"]

    assert read == cached
    assert redis.client().keys("*reach*ann")
    assert how_often(rule(service, "orders")) == "Thursdays at 08:05"


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        (DigestChange("nothing", "daily"), "category", "unknown_category"),
        (DigestChange("security", "daily"), "rhythm", "required_category"),
        (DigestChange("orders", "monthly"), "rhythm", "unknown_rhythm"),
        (DigestChange("orders", "hourly", time(9)), "at", "not_applicable"),
        (DigestChange("orders", None, time(9)), "at", "not_applicable"),
        (DigestChange("orders", "daily", time(9, 0, 1)), "at", "invalid_time"),
        (DigestChange("orders", "daily", None, 1), "weekday", "not_applicable"),
        (DigestChange("orders", "weekly", None, 7), "weekday", "invalid_weekday"),
    ],
)
def test_what_cannot_be_taken_is_refused_whole(service, change, field, code):
    with pytest.raises(BatchRejected) as refused:
        service.set_digests("ann", [DigestChange("comments", "daily"), change])

    assert [(one.field, one.code) for one in refused.value.errors[1]] == [(field, code)]
    assert not DigestChoice.objects.exists()


def test_only_a_change_is_told_and_with_the_categories_it_concerns(service):
    told = []

    def hear(recipient_id, category_ids, **_):
        told.append(category_ids)

    digests_changed.connect(hear)
    orders = service.categories()["orders"].id
    try:
        service.set_digests("ann", [DigestChange("orders", "daily")])
        service.set_digests("ann", [DigestChange("orders", "daily")])
        service.set_digests("ann", [DigestChange(None, "hourly")])
    finally:
        digests_changed.disconnect(hear)

    assert told == [frozenset({orders}), None]


def test_an_erasure_takes_the_words_along(service):
    service.set_digests("ann", [DigestChange("orders", "daily")])

    service.erase("ann")

    assert not DigestChoice.objects.exists()


def test_a_word_is_kept_when_the_person_is_changed(service):
    service.set_digests("ann", [DigestChange("orders", "daily")])

    service.upsert([RecipientInput(external_id="ann", timezone="Asia/Tokyo")])

    assert rule(service, "orders") is not None
