"""Snoozed items come back at their time: at the top, as unread, once, and live."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from channels_app import state, store, waking
from channels_app.models import FeedCursor, FeedItem
from preferences.models import Recipient
from tests.channels_app.conftest import deliver, message
from tests.channels_app.test_socket import Open, in_db, tab  # noqa: F401  tab is a fixture

pytestmark = pytest.mark.django_db(transaction=True)


def put_to_sleep(title: str, *, due: bool = True) -> FeedItem:
    """Read and snoozed by its owner; then the time comes."""
    item = FeedItem.objects.get(title=title)
    state.change(item.recipient_id, "read", [item.id])
    state.snooze(item.recipient_id, [item.id], timezone.now() + timedelta(hours=1))
    if due:
        FeedItem.objects.filter(id=item.id).update(snoozed_until=timezone.now() - timedelta(seconds=1))
    return item


def test_what_is_due_comes_back_unread_and_on_top(person: Recipient) -> None:
    deliver(message(person, "first"), message(person, "second"), message(person, "third"))
    put_to_sleep("first")
    put_to_sleep("second", due=False)

    assert waking.wake() == 1

    woken = FeedItem.objects.get(title="first")
    assert (woken.seq, woken.read_at, woken.seen_at, woken.snoozed_until) == (4, None, None, None)
    assert woken.woken_at is not None
    assert [item.title for item in state.visible(person.id)] == ["first", "third"]
    counts = store.counts_of(person.id)
    assert (counts.unseen, counts.unread, counts.last_seq) == (2, 2, 4)


def test_an_item_wakes_once_and_the_next_one_gets_the_next_number(person: Recipient) -> None:
    deliver(message(person, "first"))
    put_to_sleep("first")

    assert [waking.wake(), waking.wake()] == [1, 0]
    deliver(message(person, "new"))

    assert FeedItem.objects.get(title="new").seq == 3


def test_what_was_archived_while_asleep_stays_archived(person: Recipient) -> None:
    deliver(message(person))
    item = put_to_sleep("Hello")
    state.change(person.id, "archive", [item.id])

    assert waking.wake() == 0
    assert FeedItem.objects.get().archived_at is not None


def test_many_wake_in_batches_in_the_order_of_their_times(
    person: Recipient, stranger: Recipient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waking, "BATCH", 2)
    deliver(*(message(person, str(n)) for n in range(5)), message(stranger, "theirs"))
    for n in range(5):
        put_to_sleep(str(n))
        FeedItem.objects.filter(title=str(n)).update(snoozed_until=timezone.now() - timedelta(minutes=n + 1))
    put_to_sleep("theirs")

    assert waking.wake() == 6

    assert [item.title for item in state.visible(person.id)] == ["0", "1", "2", "3", "4"]
    assert FeedCursor.objects.get(recipient=person).last_seq == 10
    assert FeedItem.objects.get(title="theirs").seq == 2


async def test_it_arrives_live_as_a_new_item_does(tab: Open, person: Recipient) -> None:  # noqa: F811  the fixture
    await in_db(deliver)(message(person, "first"), message(person, "second"))
    await in_db(put_to_sleep)("first")
    mine = await tab()
    await mine.hear("hello")

    await in_db(waking.wake)()

    item, counts = await mine.hear("item", "counts")
    assert (item["item"]["title"], item["item"]["seq"], item["item"]["read_at"]) == ("first", 3, None)
    assert (counts["counts"]["unseen"], counts["counts"]["unread"]) == (2, 2)


async def test_who_was_away_catches_up_on_it_by_number(tab: Open, person: Recipient) -> None:  # noqa: F811  the fixture
    await in_db(deliver)(message(person, "first"), message(person, "second"))
    await in_db(put_to_sleep)("second")
    await in_db(deliver)(message(person, "third"))
    await in_db(waking.wake)()

    _, third, second = await (await tab(query="?since=2")).hear("hello", "item", "item")

    assert [frame["item"]["title"] for frame in (third, second)] == ["third", "second"]


def test_maintenance_wakes_them_every_second() -> None:
    assert settings.MAINTENANCE_TASKS["channels_app.waking.wake"] <= 1.0
