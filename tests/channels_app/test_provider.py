"""The in_app provider: what it stores, how often, and at what cost."""

import threading
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from redis.exceptions import ConnectionError as RedisConnectionError

from channels_app import live, store
from channels_app.models import FeedCursor, FeedItem
from core.ids import uuid7
from notifications.choices import FailureCode
from notifications.providers.base import Failure, Receipt
from preferences.models import Recipient
from preferences.services import PreferencesService
from tests import factories
from tests.channels_app.conftest import deliver, deliver_async, message

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_batch_is_stored_in_order_without_a_gap(person: Recipient, stranger: Recipient) -> None:
    outcomes = deliver_async([message(person, "one"), message(stranger, "other"), message(person, "two")])

    assert outcomes == [Receipt(), Receipt(), Receipt()]
    mine = FeedItem.objects.filter(recipient=person).order_by("seq").values_list("seq", "title")
    assert list(mine) == [(1, "one"), (2, "two")]
    assert FeedItem.objects.get(recipient=stranger).seq == 1


def test_a_second_send_of_a_delivery_stores_nothing_and_leaves_no_gap(person: Recipient) -> None:
    first = message(person, "first")
    deliver(first)

    outcomes = deliver(first, message(person, "second"))
    deliver(first)
    deliver(message(person, "third"))

    assert outcomes == [Receipt(), Receipt()]
    assert list(FeedItem.objects.order_by("seq").values_list("seq", "title")) == [
        (1, "first"),
        (2, "second"),
        (3, "third"),
    ]
    assert FeedCursor.objects.get(recipient=person).last_seq == 3


def test_the_same_delivery_twice_in_one_batch_is_one_item(person: Recipient) -> None:
    id = uuid7()

    deliver(message(person, delivery=id), message(person, delivery=id))

    assert FeedItem.objects.get().seq == 1


def test_the_number_of_statements_does_not_depend_on_the_number_of_messages(transactional_db: None) -> None:
    people = factories.recipients(500)
    with CaptureQueriesContext(connection) as for_one:
        deliver(message(people[0]))

    with CaptureQueriesContext(connection) as for_many:
        deliver(*(message(one) for one in people))

    assert len(for_many) == len(for_one) <= 5  # BEGIN, two statements, a COPY, COMMIT
    assert FeedItem.objects.count() == 501


def test_what_cannot_be_shown_is_refused_in_its_place(person: Recipient) -> None:
    outcomes = deliver(
        message(person, "good", link="/orders/1"),
        message(person, "script", link="javascript:alert(1)"),
        message(person, "other host", link="//evil.example"),
        message(person, ""),
        message(person, "icon", icon="data:text/html;base64,AAAAAAAAAAAAAA"),
        message(person, "also good", link="https://example.com/a?b=c#d", icon="🎉"),
    )

    refused = [outcome.code if isinstance(outcome, Failure) else None for outcome in outcomes]
    assert refused == [None, *[FailureCode.CONTENT_REFUSED] * 4, None]
    assert list(FeedItem.objects.order_by("seq").values_list("title", flat=True)) == ["good", "also good"]


@pytest.mark.parametrize(
    "link", ["java\nscript:alert(1)", "JavaScript:alert(1)", "/\\evil.example", "ftp://a/b", "https://"]
)
def test_a_disguised_link_is_refused(person: Recipient, link: str) -> None:
    [outcome] = deliver(message(person, link=link))

    assert isinstance(outcome, Failure)


def test_text_that_postgresql_cannot_hold_does_not_spoil_the_batch(person: Recipient) -> None:
    outcomes = deliver(message(person, "nul\x00byte"), message(person, "half \ud83d pair", body="x" * 10_000))

    assert outcomes == [Receipt(), Receipt()]
    titles = FeedItem.objects.order_by("seq").values_list("title", flat=True)
    assert list(titles) == ["nulbyte", "half ? pair"]
    assert len(FeedItem.objects.get(seq=2).body) == 4000


@pytest.mark.parametrize(
    ("extras", "why"),
    [
        ({"actions": {"label": "Track"}}, "array"),
        ({"actions": [{"label": "", "event": "track"}]}, "length"),
        ({"actions": [{"label": "x" * 41, "event": "track"}]}, "length"),
        ({"actions": [{"label": "Track"}]}, "either a link or an event"),
        ({"actions": [{"label": "Track", "link": "/a", "event": "b"}]}, "either a link or an event"),
        ({"actions": [{"label": "Track", "link": "javascript:alert(1)"}]}, "actions[0].link"),
        ({"actions": [{"label": "Track", "event": "no spaces"}]}, "matching"),
        ({"actions": [{"label": "Track", "event": "a", "onclick": "b"}]}, "onclick"),
        ({"actions": [{"label": str(n), "event": "a"} for n in range(4)]}, "length"),
        ({"group": 7}, "group"),
        ({"group": "x" * 101}, "group"),
    ],
)
def test_actions_and_groups_that_the_inbox_cannot_show_are_refused(person: Recipient, extras: Any, why: str) -> None:
    [outcome] = deliver(message(person, metadata={"in_app": extras}))

    assert isinstance(outcome, Failure)
    assert outcome.code == FailureCode.CONTENT_REFUSED
    assert why in outcome.detail


def test_good_actions_and_groups_reach_the_browser(person: Recipient) -> None:
    extras = {
        "actions": [{"label": "Track", "link": "/orders/7", "primary": True}, {"label": "Mute", "event": "order.mute"}],
        "group": "order-7",
        "order": 7,
    }
    deliver(message(person, metadata={"in_app": extras}))

    assert FeedItem.objects.get().data == extras


def test_only_what_was_meant_for_the_browser_goes_there(person: Recipient) -> None:
    deliver(message(person, metadata={"internal": "secret", "in_app": {"order": 7}}))

    assert FeedItem.objects.get().data == {"order": 7}


def test_an_erased_recipient_is_a_permanent_failure_for_their_messages_alone(person: Recipient) -> None:
    gone = Recipient(id=uuid4(), external_id="gone")

    outcomes = deliver(message(gone), message(person))

    assert isinstance(outcomes[0], Failure)
    assert (outcomes[0].code, outcomes[0].temporary) == (FailureCode.INVALID_ADDRESS, False)
    assert outcomes[1] == Receipt()


def test_erasing_a_recipient_erases_their_feed(person: Recipient, stranger: Recipient) -> None:
    deliver(message(person), message(stranger))

    PreferencesService().erase(person.external_id)

    assert list(FeedItem.objects.values_list("recipient_id", flat=True)) == [stranger.id]
    assert not FeedCursor.objects.filter(recipient_id=person.id).exists()


def test_without_redis_items_are_stored_and_nobody_is_told(person: Recipient, monkeypatch: pytest.MonkeyPatch) -> None:
    def down() -> None:
        raise RedisConnectionError("down")

    monkeypatch.setattr(live.redis, "client", down)

    assert deliver(message(person)) == [Receipt()]
    assert FeedItem.objects.count() == 1


def test_numbers_follow_the_order_of_commits(person: Recipient) -> None:
    """A batch that is still open holds the next one back, so that nobody sees 2 before 1."""
    inside, release = threading.Event(), threading.Event()
    finished: list[str] = []

    def slow() -> None:
        with transaction.atomic():
            store.insert([_new(person, "slow")])
            inside.set()
            release.wait(5)
            finished.append("slow")  # before it commits: from then on the other may be the first to say so
        connection.close()

    def quick() -> None:
        inside.wait(5)
        store.insert([_new(person, "quick")])
        finished.append("quick")
        connection.close()

    threads = [threading.Thread(target=slow), threading.Thread(target=quick)]
    for thread in threads:
        thread.start()
    inside.wait(5)
    threads[1].join(0.3)
    assert finished == []
    release.set()
    for thread in threads:
        thread.join(5)

    assert finished == ["slow", "quick"]
    assert list(FeedItem.objects.order_by("seq").values_list("title", flat=True)) == ["slow", "quick"]


def test_batches_that_share_people_in_any_order_do_not_deadlock(transactional_db: None) -> None:
    people = factories.recipients(40)
    failures: list[BaseException] = []

    def work(turn: int) -> None:
        try:
            for n in range(10):
                order = people if (turn + n) % 2 else people[::-1]
                store.insert([_new(one, f"{turn}.{n}") for one in order])
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(turn,)) for turn in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert failures == []
    assert set(FeedCursor.objects.values_list("last_seq", flat=True)) == {40}
    seqs = FeedItem.objects.filter(recipient=people[0]).order_by("seq").values_list("seq", flat=True)
    assert list(seqs) == list(range(1, 41))


def test_an_erasure_in_the_middle_of_a_first_batch_waits_and_the_batch_is_kept(transactional_db: None) -> None:
    # Given a batch, the first one of its people, that is not committed
    people = factories.recipients(3)
    erased: list[bool] = []

    def erase() -> None:
        try:
            erased.append(PreferencesService().erase(people[1].external_id))
        finally:
            connection.close()

    other = threading.Thread(target=erase)
    with transaction.atomic():
        store.insert([_new(one, "first") for one in people])
        # When one of them is erased
        other.start()
        other.join(0.5)
        assert erased == []
    other.join(10)
    # Then the batch stands, and what was theirs is gone with them
    assert erased == [True]
    left = {people[0].id, people[2].id}
    assert set(FeedItem.objects.values_list("recipient_id", flat=True)) == left
    assert set(FeedCursor.objects.values_list("recipient_id", flat=True)) == left


def test_a_batch_in_the_middle_of_an_erasure_waits_and_leaves_them_out(transactional_db: None) -> None:
    people = factories.recipients(3)
    store.insert([_new(people[1], "earlier")])
    found: list[store.Insertion] = []

    def insert() -> None:
        try:
            found.append(store.insert([_new(one, "later") for one in people]))
        finally:
            connection.close()

    other = threading.Thread(target=insert)
    with transaction.atomic():
        PreferencesService().erase(people[1].external_id)
        other.start()
        other.join(0.5)
        assert found == []
    other.join(10)

    assert [set(one.gone) for one in found] == [{people[1].id}]
    assert set(FeedItem.objects.values_list("recipient_id", flat=True)) == {people[0].id, people[2].id}


def _new(person: Recipient, title: str) -> store.NewItem:
    return store.NewItem(
        id=uuid7(), recipient_id=person.id, category="orders", title=title, body="", link="", icon="", data={}
    )
