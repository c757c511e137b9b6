"""When a hold ends: what explaining says beforehand, what the record says meanwhile, and when the outbox has it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from notifications.choices import EventType, SkipReason
from notifications.digests import closing
from notifications.drafts import Draft
from notifications.explain import Explanation, Way, explain, look_back
from notifications.explain.past import due as outbox_due
from notifications.models import Delivery, Digest, HoldKind, OutboxMessage
from notifications.services.holds import hold, holds, release
from notifications.services.notification import NotificationService
from notifications.services.tracking import DeliveryTracker, ProviderReceipt
from preferences.services import DigestChange, PreferencesService
from tests import factories
from tests.admin import signed_in
from tests.notifications.fakes import FakeProvider, use_provider
from tests.notifications.strategies.harness import ESCALATE, work

pytestmark = pytest.mark.django_db
CONTENT = {"title": "Your order", "body": "It has left."}


@pytest.fixture(autouse=True)
def provider(settings: Any) -> FakeProvider:
    settings.QUIET_HOURS_SPREAD_SECONDS = 0
    holds.forget()
    factories.category("orders")
    fake = use_provider(settings, FakeProvider("fake"))
    settings.PROVIDERS = {**settings.PROVIDERS, "fake": {**settings.PROVIDERS["fake"], "receiver": {}}}
    return fake


def draft(**fields: Any) -> Draft:
    return Draft(**{"recipient": "ann", "category": "orders", "content": CONTENT, **fields})


def way(told: Explanation, channel: str) -> Way:
    [found] = [one for one in told.ways if one.channel == channel]
    return found


def minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def asleep_in(hours: float, *, for_hours: float = 2) -> tuple[datetime, datetime]:
    """Ann, for whom it is quiet from then on for so long."""
    start = minute(timezone.now() + timedelta(hours=hours))
    end = start + timedelta(hours=for_hours)
    clock = [moment.time() for moment in (start, end)]
    assert all(isinstance(one, time) for one in clock)
    factories.recipient("ann", quiet_start=clock[0], quiet_end=clock[1])
    return start, end


def due(channel: str) -> datetime:
    return OutboxMessage.objects.filter(channel=channel).earliest("due_at").due_at


def accept(one: Draft, source: str = "api:test") -> UUID:
    return UUID(bytes=NotificationService().send([one], source=source)[0].id.bytes)


def test_a_time_that_lies_in_quiet_hours_waits_for_their_end() -> None:
    start, end = asleep_in(1)
    one = draft(channels=["email"], send_at=start + timedelta(minutes=30))

    told = way(explain(one, source="api:test"), "email")
    accept(one)

    assert (told.outcome, told.code, told.until) == ("hold", "quiet_hours", end)
    assert due("email") == end


def test_a_time_after_quiet_hours_is_what_it_waits_for() -> None:
    _, end = asleep_in(1)
    later = end + timedelta(hours=1)

    told = way(explain(draft(channels=["email"], send_at=later), source="api:test"), "email")

    assert (told.code, told.until) == ("send_at", later)


def test_what_expires_in_the_quiet_hours_of_its_time_is_not_sent() -> None:
    start, _ = asleep_in(1)
    times = {"send_at": start + timedelta(minutes=30), "expires_at": start + timedelta(minutes=60)}
    one = draft(channels=["email"], **times)

    told = way(explain(one, source="api:test"), "email")
    accept(one)

    assert (told.outcome, told.code) == ("skip", SkipReason.EXPIRED)
    assert Delivery.objects.get().skip_reason == SkipReason.EXPIRED


def test_a_step_whose_turn_lies_in_quiet_hours_waits_for_their_end() -> None:
    _, end = asleep_in(0.25)

    told = explain(draft(strategy=ESCALATE), source="api:test")

    assert way(told, "in_app").outcome == "pass"
    assert (way(told, "push").code, way(told, "push").until) == ("its_turn", told.at + timedelta(seconds=600))
    assert (way(told, "email").code, way(told, "email").until) == ("quiet_hours", end)


def test_a_step_that_expires_before_its_turn_is_told_so() -> None:
    factories.recipient("ann")
    expires_at = timezone.now() + timedelta(minutes=30)

    told = explain(draft(strategy=ESCALATE, expires_at=expires_at), source="api:test")

    assert "It expires before that" in way(told, "email").says
    assert "It expires" not in way(told, "push").says


def test_what_is_gathered_is_no_step_and_what_follows_it_comes_first() -> None:
    factories.recipient("ann")
    PreferencesService().set_digests("ann", [DigestChange("orders", "daily")])
    one = draft(strategy={"first": 300}, channels=["email", "in_app"])

    told = explain(one, source="api:test")
    accept(one)

    assert (way(told, "email").code, way(told, "in_app").outcome) == (SkipReason.DIGESTED, "pass")
    assert due("in_app") <= timezone.now()


def test_what_expires_before_its_digest_leaves_is_told_so_before_and_after() -> None:
    factories.category("orders", digest_mode="fixed", digest_window_seconds=3600)
    factories.recipient("ann")
    one = draft(channels=["email"], expires_at=timezone.now() + timedelta(minutes=30))
    told = explain(one, source="api:test")
    id = accept(one)
    past = look_back(id)
    assert "It expires before that" in way(told, "email").says
    assert past is not None
    assert "It leaves on" in past.fates[0].says

    Digest.objects.update(closes_at=timezone.now() - timedelta(seconds=1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("notifications.digests.reading._STATE", _EXPIRED)
        closing.close_some()
    Digest.objects.update(closed_at=timezone.now() + timedelta(hours=1))

    past = look_back(id)
    assert past is not None
    assert "and was left out" in past.fates[0].says


_EXPIRED = """
    SELECT id, source, TRUE, TRUE, plan::text FROM notifications_notification
     WHERE id = ANY($1::uuid[]) AND id BETWEEN $2 AND $3
"""


def test_what_waits_for_a_paused_source_says_so_and_not_when_it_is_looked_at() -> None:
    factories.recipient("ann")
    id = accept(draft(channels=["email"]), source="campaign:7")
    hold("campaign:7", HoldKind.HELD)
    holds.forget()
    work()

    past = look_back(id)
    page = signed_in(may="everything").get(reverse("admin:notifications_notification_change", args=[id]))

    assert past is not None
    [fate] = past.fates
    assert (fate.says, fate.until) == ("It waits: campaign:7 is paused, and it leaves when that goes on.", None)
    assert "It leaves when campaign:7 goes on." in page.content.decode()
    release("campaign:7")
    assert look_back(id).fates[0].says.startswith("It waits for a worker")  # type: ignore[union-attr]  # it was there before


def test_what_was_brought_forward_is_due_then(provider: FakeProvider) -> None:
    factories.recipient("ann")
    id = accept(draft(strategy={"first": 3600}, channels=["push", "email"]))
    work()
    [push] = Delivery.objects.filter(channel="push")

    DeliveryTracker().receipts([ProviderReceipt(push.pk, EventType.BOUNCED, "fake")])

    past = look_back(id)
    assert past is not None
    [email] = [fate for fate in past.fates if fate.channel == "email"]
    assert email.until is not None
    assert email.until <= timezone.now()


@contextmanager
def backlog(end: str) -> Iterator[None]:
    """Whoever looks through a lane from this end of it, ASC or DESC, does not come through in time."""

    def slow(execute: Callable[..., Any], sql: str, *args: Any) -> Any:
        if f" {end} LIMIT " not in sql:
            return execute(sql, *args)
        stopped.append(sql)
        return execute("SELECT pg_sleep(5)", None, *args[1:])

    stopped: list[str] = []
    with connection.execute_wrapper(slow):
        yield
    assert len(stopped) == 1


def test_behind_a_backlog_the_time_is_told_that_something_waits_for() -> None:
    factories.recipient("ann")
    later = timezone.now() + timedelta(hours=1)
    [delivery] = Delivery.objects.filter(notification=accept(draft(channels=["email"], send_at=later)))
    at = due("email")

    with backlog("ASC"):
        assert outbox_due([delivery]) == {delivery.pk: (at, "")}


def test_what_is_due_is_told_however_much_waits_for_its_time() -> None:
    factories.recipient("ann")
    [delivery] = Delivery.objects.filter(notification=accept(draft(channels=["email"])))
    at = due("email")

    with backlog("DESC"):
        assert outbox_due([delivery]) == {delivery.pk: (at, "")}
