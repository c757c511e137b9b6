"""What is cancelled, erased and sent at the same moment waits for each other, and never in a circle."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from queue import Queue
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from core.ids import key
from notifications.choices import EventType
from notifications.digests import closing, upkeep
from notifications.drafts import Draft
from notifications.errors import AlreadyLeft
from notifications.models import Delivery, Digest, DigestItem, Notification
from notifications.models.dead_letter import DeadCause
from notifications.services.claims import Claim, Result
from notifications.services.holds import holds
from notifications.services.notification import NotificationService
from notifications.services.tracking import DeliveryTracker
from preferences.models import Recipient
from preferences.services import PreferencesService
from preferences.services.recipients import erase
from preferences.services.service import reach_cache
from tests import factories
from tests.lockstep import PATIENCE, Lockstep
from tests.notifications.fakes import FakeProvider, use_provider

pytestmark = pytest.mark.django_db(transaction=True)
SALE, OTHER = "campaign:7", "campaign:8"
EVERYTHING = UUID(int=0), UUID(int=(1 << 128) - 1)


@pytest.fixture(autouse=True)
def people(settings: Any) -> Iterator[list[str]]:
    use_provider(settings, FakeProvider("fake"))
    factories.category("comments", digest_mode="fixed", channels=["email"])
    factories.category("orders", channels=["email"])
    names = [one.external_id for one in factories.recipients(4)]
    PreferencesService().reach(names)
    holds.forget()
    yield names
    holds.forget()


def gathers(*channels: str) -> None:
    factories.category("comments", digest_mode="fixed", channels=list(channels))


def say(names: list[str], source: str, category: str = "comments") -> list[UUID]:
    content = {"title": source, "body": category}
    drafts = [Draft(recipient=name, category=category, content=content) for name in names]
    return [one.id for one in NotificationService().send(drafts, source=source)]


def close() -> list[Notification]:
    Digest.objects.filter(state="open").update(closes_at=timezone.now())
    closing.close_some()
    return list(Notification.objects.filter(source="digest:comments").order_by("id"))


def cancel_all(source: str = SALE) -> None:
    DeliveryTracker().cancel_range(source, *EVERYTHING)


def cancel(notification: UUID) -> None:
    with suppress(AlreadyLeft):  # the others were faster
        NotificationService().cancel(notification)


def at_once(*functions: Any) -> None:
    both = Lockstep()
    assert both.run(*functions) == []
    assert both.deadlocks == 0


def until_it_waits(pid: int) -> None:
    """Until this process of PostgreSQL's waits for a lock."""
    with connection.cursor() as cursor:
        for _ in range(int(PATIENCE / 0.01)):
            cursor.execute("SELECT pg_blocking_pids(%s) <> '{}'", [pid])
            if cursor.fetchone()[0]:
                return
            time.sleep(0.01)
    raise AssertionError("it did not wait")


@pytest.mark.parametrize("is_closed", [False, True])
def test_one_item_and_the_campaign_it_is_of(people: list[str], is_closed: bool) -> None:
    items = say(people, SALE)
    say(people, "test")
    if is_closed:
        close()

    at_once(lambda: cancel(items[-1]), cancel_all)

    assert set(Delivery.objects.filter(notification__source=SALE).values_list("skip_reason", flat=True)) == {
        "cancelled"
    }


def close_all() -> None:
    while closing.close_some():
        pass


@pytest.mark.parametrize(
    "other",
    [
        lambda: say([f"person-{n}" for n in (3, 1, 2, 0)], "test"),
        lambda: upkeep.send_now(Q(count__gte=1)),
        close_all,
    ],
    ids=["acceptance", "send now", "closing"],
)
def test_a_campaign_and_what_else_changes_its_digests(people: list[str], other: Callable[[], object]) -> None:
    say(people, SALE), say(people, "test")
    Digest.objects.filter(state="open").update(closes_at=timezone.now())

    at_once(other, cancel_all)

    left = Delivery.objects.filter(notification__source=SALE).exclude(skip_reason="cancelled")
    assert not left.exists()


def test_the_message_of_a_digest_and_the_campaign_of_an_item_in_it(people: list[str]) -> None:
    say(people, SALE), say(people, "test")
    digests = close()

    at_once(lambda: cancel(digests[-1].pk), cancel_all)

    assert not Delivery.objects.filter(notification=digests[-1].pk, status="queued").exists()


def test_two_campaigns_with_items_in_the_same_digests(people: list[str]) -> None:
    say(people, SALE), say(people[::-1], OTHER), say(people, "test")
    close()

    at_once(cancel_all, lambda: cancel_all(OTHER))

    titles = [[item["title"] for item in one.data["items"]] if one.data else [] for one in close()]
    assert not any(SALE in said or OTHER in said for said in titles)


@pytest.mark.parametrize("is_closed", [False, True])
def test_a_campaign_and_the_erasure_of_somebody_it_went_to(people: list[str], is_closed: bool) -> None:
    say(people, SALE), say(people, "test")
    if is_closed:
        close()

    at_once(lambda: erase(people[-1]), cancel_all)

    assert Digest.objects.count() == len(people) - 1
    assert not DigestItem.objects.exclude(digest__in=Digest.objects.all()).exists()


def test_the_erasure_of_somebody_and_what_is_accepted_for_them(people: list[str]) -> None:
    say(people, "test")
    pids: Queue[int] = Queue()

    def forget() -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                pids.put(cursor.fetchone()[0])
            erase(people[-1])
        finally:
            connection.close()

    erasing = threading.Thread(target=forget)
    with transaction.atomic():
        say(people[-1:], "test")
        erasing.start()
        until_it_waits(pids.get(timeout=PATIENCE))
    erasing.join(PATIENCE)

    assert not erasing.is_alive()
    assert Digest.objects.count() == len(people) - 1
    assert not DigestItem.objects.exclude(digest__in=Digest.objects.all()).exists()


def test_a_campaign_and_a_worker_with_what_is_of_it_and_what_carries_it(people: list[str]) -> None:
    """Of one batch, whose deliveries are taken by their ids: an order of the campaign's own, and a digest."""
    [own] = say(people[:1], SALE, "orders")
    say(people, SALE), say(people, "test")
    digest = close()[-1]
    mine = Delivery.objects.get(notification=own)
    carrying = Delivery.objects.get(notification=digest.pk, channel="email")
    assert mine.pk < carrying.pk

    def claim() -> None:
        with transaction.atomic():
            for one in (mine, carrying):
                DeliveryTracker().claim([key(one.pk)], channel="email", priority=one.priority)

    at_once(claim, cancel_all)

    assert not Delivery.objects.filter(notification__source=SALE, status="queued").exists()


def claimed(channel: str) -> list[Claim]:
    """Each delivery of the digests on this channel, in the hands of a worker."""
    waiting = Delivery.objects.filter(notification__source="digest:comments", channel=channel).order_by("id")
    return DeliveryTracker().claim([key(one.pk) for one in waiting], channel=channel, priority=waiting[0].priority)


def record(claims: list[Claim]) -> None:
    """They could not be sent, and are to be tried again."""
    results = [Result(claim, EventType.DEFERRED, "fake", "unavailable", retry_in=0.0) for claim in claims]
    DeliveryTracker().record(results)


def of_campaign() -> Counter[tuple[str, str]]:
    return Counter(Delivery.objects.filter(notification__source=SALE).values_list("channel", "skip_reason"))


def test_workers_of_two_channels_that_bring_the_same_digests_back(people: list[str]) -> None:
    gathers("email", "push")
    for name in people:
        factories.device(Recipient.objects.get(external_id=name))
    reach_cache.drop(people)
    say(people, SALE), say(people, "test")
    close()
    emails, pushes = claimed("email"), claimed("push")
    cancel_all()

    at_once(lambda: record(emails), lambda: record(pushes))

    assert of_campaign() == {("email", "cancelled"): 4, ("push", "cancelled"): 4}
    assert not Digest.objects.filter(has_wish=True).exists()


def test_workers_of_two_devices_that_bring_the_same_digest_back(people: list[str]) -> None:
    """Each alone has to leave the item to the other; together they take it out."""
    gathers("push")
    for token in ("her-one", "her-other"):
        factories.device(Recipient.objects.get(external_id=people[0]), token=token)
    reach_cache.drop(people)
    say(people[:1], SALE), say(people[:1], "test")
    close()
    one, other = claimed("push")
    cancel_all()

    at_once(lambda: record([one]), lambda: record([other]))

    assert of_campaign() == {("push", "cancelled"): 2}


def bury(claims: list[Claim]) -> None:
    DeliveryTracker().bury([one.id for one in claims], cause=DeadCause.POISON, detail="")


@pytest.mark.parametrize("back", [record, bury])
def test_a_worker_that_brings_digests_back_and_a_campaign_in_them(
    people: list[str], back: Callable[[list[Claim]], None]
) -> None:
    say(people, SALE), say(people[::-1], OTHER), say(people, "test")
    close()
    claims = claimed("email")
    cancel_all()

    at_once(lambda: back(claims[::-1]), lambda: cancel_all(OTHER))

    assert not Delivery.objects.filter(skip_reason="digested").exclude(notification__source="test").exists()
