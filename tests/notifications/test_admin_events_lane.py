"""The events lane in the admin: what waits, since when, and what may be done about it."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.db.models.functions import Now
from django.test import Client

from core.ids import uuid7
from notifications.choices import EventType
from notifications.models import ReceivedEvent
from notifications.services import events_lane
from notifications.services.events_lane import Incoming
from tests.admin import page, signed_in

pytestmark = pytest.mark.django_db


def waiting(*, later: bool = False, **fields: object) -> ReceivedEvent:
    event = {"type": EventType.BOUNCED, "origin": "mailhouse", "delivery_id": uuid7(), "event_id": "e-1", **fields}
    events_lane.put([Incoming(**event)], **({"delay": 3600.0} if later else {}))
    return ReceivedEvent.objects.latest("id")


def listed(client: Client) -> str:
    return client.get(page(ReceivedEvent)).content.decode()


def with_permissions(*names: str) -> Client:
    user = User.objects.create_user("grace", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    client = Client()
    client.force_login(user)
    return client


def act(client: Client, *rows: ReceivedEvent) -> str:
    data = {"action": "try_again", "_selected_action": [row.pk for row in rows]}
    return client.post(page(ReceivedEvent), data, follow=True).content.decode()


def test_an_empty_lane_is_good_news() -> None:
    assert "every receipt, open and click that came is applied" in listed(signed_in(may="view"))


def test_it_shows_what_waits_and_asks_for_run_events_when_it_waits_long() -> None:
    row = waiting()
    client = signed_in(may="view")
    body = listed(client)
    assert "Bounced" in body
    assert "mailhouse" in body
    assert "run_events</code> running?" not in body

    ReceivedEvent.objects.update(due_at=Now() - timedelta(minutes=3))

    assert "run_events</code> running?" in listed(client)
    assert str(row.delivery_id)[-12:] in listed(client)


def test_a_vendors_own_words_are_not_shown_since_they_may_hold_an_address() -> None:
    row = waiting(detail="550 no ann@example.com here")
    client = signed_in(may="everything")

    assert "ann@example.com" not in listed(client) + client.get(page(row)).content.decode()


def test_what_was_set_aside_is_tried_again_at_once_by_who_may() -> None:
    row = waiting(later=True)
    assert "Nothing is due" in listed(signed_in(may="view"))

    assert "1 event will be tried again now" in act(with_permissions("change_receivedevent"), row)

    assert events_lane.depth().due == 1


def test_who_may_only_look_changes_nothing() -> None:
    row = waiting(later=True)
    client = with_permissions("view_receivedevent")

    act(client, row)
    answer = client.post(page(row, "delete"), {"post": "yes"})

    assert answer.status_code == 403
    assert events_lane.depth().due == 0
    assert ReceivedEvent.objects.count() == 1


def test_what_can_never_be_applied_is_given_up_by_deleting_it() -> None:
    row = waiting(later=True)

    with_permissions("view_receivedevent", "delete_receivedevent").post(page(row, "delete"), {"post": "yes"})

    assert not ReceivedEvent.objects.exists()


def test_an_event_of_a_kind_that_a_newer_release_knows_is_shown_as_it_is() -> None:
    waiting()
    ReceivedEvent.objects.update(type="tomorrow")

    assert "tomorrow" in listed(signed_in(may="view"))
