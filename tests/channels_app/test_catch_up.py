"""What many sockets have missed, asked for together."""

from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from channels_app import catch_up, identity, tickets
from channels_app.catch_up import Place, place
from channels_app.models import FeedItem
from preferences.models import Recipient
from tests import factories
from tests.channels_app.conftest import deliver, message

pytestmark = pytest.mark.django_db(transaction=True)


def seqs(missed: catch_up.Missed) -> list[int]:
    return [seq for seq, _ in missed.items]


def test_each_place_gets_its_own_answer(person: Recipient, stranger: Recipient) -> None:
    deliver(*(message(person, str(n)) for n in range(5)), message(stranger))
    third, newest = (FeedItem.objects.get(recipient=person, seq=seq) for seq in (3, 5))
    theirs = FeedItem.objects.get(recipient=stranger)

    answers = catch_up.catch_up(
        [
            place(person.id, str(third.id)),
            place(stranger.id, "0"),
            place(person.id, ""),
            place(person.id, str(theirs.id)),
            Place(person.id, after=4),
            place(uuid4(), "0"),
            place(person.id, "nonsense"),
        ]
    )

    assert [seqs(one) for one in answers] == [[4, 5], [1], [], [], [5], [], []]
    assert [one.reset for one in answers] == [False, False, False, True, False, False, True]
    assert [one.latest for one in answers] == [newest.id, theirs.id, newest.id, newest.id, newest.id, None, newest.id]
    assert [one.last_seq for one in answers] == [5, 1, 5, 5, 5, 0, 5]


def test_who_missed_too_much_starts_over_and_others_do_not(
    person: Recipient, stranger: Recipient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catch_up, "MAX_MISSED", 3)
    deliver(*(message(person) for _ in range(4)), *(message(stranger) for _ in range(3)))

    answers = catch_up.catch_up([place(person.id, "0"), place(stranger.id, "0")])

    assert [(seqs(one), one.reset) for one in answers] == [([], True), ([1, 2, 3], False)]


def test_what_is_read_at_once_has_a_bound_and_nobody_is_left_out(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catch_up, "MAX_ROWS", 4)
    people = factories.recipients(5)
    deliver(*(message(one, str(n)) for one in people for n in range(2)))

    with CaptureQueriesContext(connection) as queries:
        answers = catch_up.catch_up([place(one.id, "0") for one in people])

    assert [seqs(one) for one in answers] == [[1, 2]] * 5
    assert len(queries) == 2 + 3


def test_tickets_are_redeemed_together_and_each_once(person: Recipient, stranger: Recipient) -> None:
    def ticket_of(who: Recipient) -> str:
        found = identity.from_token(identity.issue_token(who.id).token)
        assert found is not None
        return tickets.issue(found).ticket

    mine, theirs = ticket_of(person), ticket_of(stranger)

    answers = tickets.redeem_all([mine, "nonsense", theirs, mine])

    assert [one and one.recipient_id for one in answers] == [person.id, None, stranger.id, None]
    assert tickets.redeem_all([mine, theirs]) == [None, None]
