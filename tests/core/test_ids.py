"""Keys and the ids that can be had again."""

from datetime import UTC, datetime
from uuid import UUID

from core import ids

MOMENT = datetime(2027, 1, 31, 9, tzinfo=UTC)


def test_a_deterministic_id_stays_what_it_is():
    # Campaigns that are under way during an upgrade have sent under ids like this one.
    made = ids.deterministic(MOMENT, (42, UUID(int=7)))

    assert str(made) == "01a36af8-fe80-7999-880f-b7f06519d397"
    assert ids.deterministic_key(MOMENT, (42, UUID(int=7))) == made.bytes
    assert (made.version, ids.made_at(made)) == (7, MOMENT)


def test_a_derived_id_is_the_same_each_time_and_of_its_parents_moment():
    parent = ids.deterministic_key(MOMENT, (42,))
    parts = [ids.derived(parent, number) for number in range(1000)]

    assert parts == [ids.derived(parent, number) for number in range(1000)]
    assert len({parent, *parts}) == 1001
    assert {ids.made_at(part) for part in parts} == {MOMENT}
    assert {UUID(bytes=part).version for part in parts} == {7}


def test_keys_ascend_however_many_are_asked_for():
    made = [*ids.keys(20_000), *ids.keys(1), *ids.keys(3)]

    assert made == sorted(set(made))
    assert len(made) == 20_004
    assert ids.keys(0) == []
