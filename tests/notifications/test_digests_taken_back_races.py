"""A campaign is cancelled while digests of its messages are gathered, closed and sent, all at once."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.utils import timezone

from analytics.rollups import proof
from notifications.digests import closing
from notifications.drafts import Draft
from notifications.messaging.base import WorkMessage
from notifications.models import Delivery, Digest, HoldKind, OutboxMessage
from notifications.services.holds import hold, holds, release
from notifications.services.notification import NotificationService
from notifications.services.tracking import DeliveryTracker
from notifications.worker import Worker
from tests import factories
from tests.notifications.fakes import FakeProvider, use_provider

SALE = "campaign:7"
ROUNDS, PEOPLE = 12, 20


class Run:
    """Threads that go on until told, and what went wrong in them."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.errors: list[Exception] = []
        self._threads: list[threading.Thread] = []

    def keep(self, step: Callable[[], object]) -> None:
        def go() -> None:
            try:
                while not self.over.is_set():
                    step()
            except Exception as error:
                self.errors.append(error)
            finally:
                connection.close()

        self._threads.append(threading.Thread(target=go))
        self._threads[-1].start()

    def end(self) -> None:
        self.over.set()
        for thread in self._threads:
            thread.join(30)


def close() -> None:
    Digest.objects.filter(state="open").update(closes_at=timezone.now() - timedelta(seconds=1))
    closing.close_some()


def work() -> None:
    """What is due, and what is held for a look to come."""
    row = OutboxMessage.objects.filter(held_for=None).order_by("?").first()
    if row is not None and OutboxMessage.objects.filter(pk=row.pk).delete()[0]:
        Worker().process(WorkMessage.of(row.channel, row.priority, row.delivery_ids))


@pytest.mark.django_db(transaction=True)
def test_nothing_of_it_leaves_after_the_cancel_and_everything_ends_and_is_counted_once(settings: Any) -> None:
    provider = use_provider(settings, FakeProvider("fake"))
    factories.category("comments", digest_mode="fixed", channels=["email"])
    names = [one.external_id for one in factories.recipients(PEOPLE)]
    began, run = timezone.now(), Run()
    holds.forget()
    for step in (close, work, work):
        run.keep(step)
    for n in range(ROUNDS):
        for source, title in ((SALE, "sale"), ("test", "comment")):
            content = {"title": f"{title} {n}", "body": title}
            drafts = [Draft(recipient=name, category="comments", content=content) for name in names]
            NotificationService().send(drafts, source=source)
    hold(SALE, HoldKind.CANCELLED)
    holds.forget()
    at: UUID | None = UUID(int=0)
    while at is not None:
        _, at = DeliveryTracker().cancel_range(SALE, at, UUID(int=(1 << 128) - 1), limit=25)
    taken = len(provider.calls)
    release(SALE)
    holds.forget()
    for _ in range(2000):
        waiting = Delivery.objects.filter(status__in=["queued", "sending"])
        if not waiting.exists() and not Digest.objects.filter(state="open").exists():
            break
        threading.Event().wait(0.02)
    run.end()

    assert run.errors == []
    assert not Delivery.objects.filter(status__in=["queued", "sending"]).exists()
    # A batch may have been with the provider in the moment of the last page.
    late = [message for message in provider.calls[taken + 2 * PEOPLE :] if "sale" in str(message.content)]
    assert late == []
    assert proof.verify(began - timedelta(minutes=1), timezone.now() + timedelta(minutes=1)) == []
    for delivery in Delivery.objects.filter(notification__source=SALE):
        assert delivery.skip_reason in ("digested", "cancelled")
