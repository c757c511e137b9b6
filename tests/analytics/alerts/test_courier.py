"""Messages reach people: sent once, tried again, handed to the second route, and written down."""

import json
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import OperationalError
from django.utils import timezone

from analytics.alerts import courier as module
from analytics.alerts import heartbeat, services
from analytics.alerts.choices import Metric
from analytics.alerts.composing import compose
from analytics.alerts.courier import HAND_OVER_AFTER, LEASE_SECONDS, MAX_ATTEMPTS, Courier, claim, retry_in
from analytics.alerts.models import AlertMessage, AlertRoute
from analytics.alerts.routes import Outcome, Way
from channels_app.models import FeedItem
from core.moments import database_now
from core.standard_webhooks import new_secret, verify
from notifications.models import Notification
from preferences.models import Category
from tests import factories
from tests.analytics.alerts.conftest import Clock, route, rule
from tests.analytics.alerts.receiver import Receiver, listening

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _reachable(settings: Any) -> None:
    settings.OUTBOUND_ALLOW_PRIVATE = ["127.0.0.0/8"]
    settings.EMAIL_URL = "smtp://mail.example"  # the tests' backend keeps what is sent
    settings.PUBLIC_URL = "https://notify.example.com"


@pytest.fixture
def courier() -> Courier:
    return Courier()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with listening() as found:
        yield found


def opened(clock: Clock, **fields: Any) -> None:
    """An alert opens, and is to be told."""
    rule(for_seconds=0, clear_seconds=0, name="Given up on", advice="Look at the dead letters.", **fields)
    clock.now = timezone.now() - timedelta(seconds=11)
    clock.set(Metric.DEAD, 12)
    clock.look()


def tries(courier: Courier, n: int) -> None:
    """So many turns, each when the next try is due."""
    for _ in range(n):
        courier.run(patience=10)
        AlertMessage.objects.filter(state="waiting").update(due_at=timezone.now() - timedelta(hours=1))


def states() -> list[tuple[str, str, int]]:
    rows = AlertMessage.objects.order_by("id").select_related("route")
    return [(row.route.name, row.state, row.attempts) for row in rows]


def test_a_webhook_gets_a_signed_account_of_the_alert(clock: Clock, courier: Courier, receiver: Receiver) -> None:
    way = route(target=receiver.url, secret=new_secret())
    opened(clock)
    courier.run(patience=10)

    [post] = receiver.posts
    message = AlertMessage.objects.get()
    assert verify([way.secret], post.headers, post.body, now=time.time()) == str(message.pk)
    told = json.loads(post.body)
    [alert] = told["data"]["alerts"]
    assert told["type"] == "alerts"
    assert (alert["event"], alert["title"], alert["severity"]) == ("opened", "Given up on", "critical")
    assert alert["url"] == f"https://notify.example.com/admin/analytics/alert/{alert['id']}/change/"
    assert (message.state, message.subject) == ("sent", "Critical: Given up on")
    assert message.answer.startswith("HTTP 200")


def test_slack_gets_text_without_markup_of_ours(clock: Clock, courier: Courier, receiver: Receiver) -> None:
    route(kind="slack", target=receiver.url)
    rule(for_seconds=0, name="Much <!channel> & more")
    clock.now = timezone.now() - timedelta(seconds=11)
    clock.set(Metric.DEAD, 12)
    clock.look()
    courier.run(patience=10)

    told = json.loads(receiver.posts[0].body)
    assert told["text"] == "Critical: Much &lt;!channel&gt; &amp; more"
    assert told["attachments"][0]["color"] == "#b3261e"
    assert "webhook-signature" not in receiver.posts[0].headers


def test_an_email_says_what_is_wrong_what_to_do_and_where_to_look(clock: Clock, courier: Courier) -> None:
    route(kind="email", target="ada@example.com\ngrace@example.com")
    opened(clock)
    courier.run(patience=10)

    [sent] = mail.outbox
    assert sent.to == ["ada@example.com", "grace@example.com"]
    assert sent.subject == "[Carillon] Critical: Given up on"
    assert "12 messages were given up on within 5 min. The limit is 10." in sent.body
    assert "Look at the dead letters." in sent.body
    assert "https://notify.example.com/admin/analytics/alert/" in sent.body


def test_an_email_without_a_mail_server_fails_with_a_word(clock: Clock, courier: Courier, settings: Any) -> None:
    settings.EMAIL_URL = ""
    route(kind="email", target="ada@example.com")
    opened(clock)
    courier.run(patience=10)

    assert states() == [("on call", "failed", 1)]
    assert "EMAIL_URL" in AlertMessage.objects.get().answer


def test_staff_get_it_in_their_inbox_once_however_often_it_is_sent(clock: Clock, courier: Courier) -> None:
    factories.recipient("ada")
    route(kind="in_app", target="ada")
    opened(clock)
    courier.run()
    AlertMessage.objects.update(state="waiting", leased_until=None)
    courier.run()

    sent = Notification.objects.get()
    assert (sent.priority, sent.source) == ("critical", "alerts")
    assert Category.objects.get(slug="alerts").is_required
    assert sent.content["in_app"]["title"] == "Critical: Given up on"  # type: ignore[index]  # it has content
    assert not FeedItem.objects.exists(), "the worker's work"


def test_without_names_it_goes_to_the_staff_who_have_an_inbox(
    clock: Clock, courier: Courier, django_user_model: Any
) -> None:
    factories.recipient("grace")
    factories.recipient("customer")
    for name, is_staff in (("grace", True), ("customer", False), ("nobody-here", True)):
        django_user_model.objects.create_user(name, is_staff=is_staff)
    route(kind="in_app", target="")
    opened(clock)
    courier.run()

    assert [one.recipient_id for one in Notification.objects.all()] == [
        factories.Recipient.objects.get(external_id="grace").pk
    ]


def test_a_server_that_is_down_is_tried_again_with_the_same_id(clock: Clock, courier: Courier) -> None:
    with listening(503, 200) as receiver:
        route(target=receiver.url, secret=new_secret())
        opened(clock)
        courier.run(patience=10)
        waiting = AlertMessage.objects.get()
        assert (waiting.state, waiting.attempts) == ("waiting", 1)
        assert 3 < (waiting.due_at - database_now()).total_seconds() <= 5
        courier.run(patience=10)
        assert len(receiver.posts) == 1, "not before its time"

        AlertMessage.objects.update(due_at=timezone.now() - timedelta(hours=1))
        courier.run(patience=10)

    first, second = receiver.posts
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert states() == [("on call", "sent", 2)]


def test_when_the_first_route_fails_the_second_is_told(clock: Clock, courier: Courier) -> None:
    with listening(500) as broken, listening(200) as works:
        second = route("stand-in", target=works.url, secret=new_secret(), receives="nothing")
        route(target=broken.url, secret=new_secret(), fallback=second)
        opened(clock)
        tries(courier, HAND_OVER_AFTER + 1)

    assert states() == [("on call", "handed_over", HAND_OVER_AFTER), ("stand-in", "sent", 1)]
    assert json.loads(works.posts[0].body)["data"]["alerts"][0]["title"] == "Given up on"


def test_what_fails_for_good_is_handed_over_at_once(clock: Clock, courier: Courier) -> None:
    with listening(404) as broken, listening(200) as works:
        second = route("stand-in", target=works.url, secret=new_secret(), receives="nothing")
        route(target=broken.url, secret=new_secret(), fallback=second)
        opened(clock)
        tries(courier, 2)

    assert states() == [("on call", "handed_over", 1), ("stand-in", "sent", 1)]


def test_two_routes_that_stand_in_for_each_other_end(clock: Clock, courier: Courier) -> None:
    with listening(404) as broken:
        one = route("one", target=broken.url, secret=new_secret())
        two = route("two", target=broken.url, secret=new_secret(), receives="nothing", fallback=one)
        AlertRoute.objects.filter(pk=one.pk).update(fallback=two)
        opened(clock)
        tries(courier, 5)

    assert states() == [("one", "handed_over", 1), ("two", "failed", 1)]


def test_when_both_routes_are_away_for_a_while_somebody_is_told_in_the_end(clock: Clock, courier: Courier) -> None:
    # Given two routes that stand in for each other, and a network that is gone
    with listening(500) as broken:
        one = route("one", target=broken.url, secret=new_secret())
        two = route("two", target=broken.url, secret=new_secret(), receives="nothing", fallback=one)
        AlertRoute.objects.filter(pk=one.pk).update(fallback=two)
        opened(clock)
        tries(courier, 2 * HAND_OVER_AFTER + 2)
    assert states() == [("one", "handed_over", HAND_OVER_AFTER), ("two", "waiting", HAND_OVER_AFTER + 2)]
    # When it is back
    with listening(200) as works:
        AlertRoute.objects.update(target=works.url)
        tries(courier, 1)
    # Then the alert was not given up on
    assert states()[1] == ("two", "sent", HAND_OVER_AFTER + 3)


def test_a_second_route_that_is_off_is_none(clock: Clock, courier: Courier) -> None:
    with listening(500) as broken:
        second = route("second", target=broken.url, secret=new_secret(), is_on=False)
        route(target=broken.url, secret=new_secret(), fallback=second)
        opened(clock)
        tries(courier, HAND_OVER_AFTER + 1)
        assert states() == [("on call", "waiting", HAND_OVER_AFTER + 1)]
        tries(courier, MAX_ATTEMPTS)

    assert states() == [("on call", "failed", MAX_ATTEMPTS)]


def test_what_was_sent_while_postgresql_went_away_is_not_sent_again(
    clock: Clock, courier: Courier, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    route(target=receiver.url, secret=new_secret())
    opened(clock)

    def away(*_: Any) -> None:
        raise OperationalError("away")

    with monkeypatch.context() as patched:
        patched.setattr(module, "record", away)
        with pytest.raises(OperationalError):
            courier.run(patience=10)
    assert states() == [("on call", "waiting", 1)]
    courier.run(patience=10)

    assert states() == [("on call", "sent", 1)]
    assert len(receiver.posts) == 1


def test_a_message_that_cannot_be_put_into_words_holds_up_no_other(
    clock: Clock, courier: Courier, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    route("first", target=receiver.url, secret=new_secret())
    route("second", target=receiver.url, secret=new_secret())
    opened(clock)

    def composed(message: AlertMessage, now: datetime) -> Any:
        if message.route.name == "first":
            raise ValueError("a bug")
        return compose(message, now)

    monkeypatch.setattr(module, "compose", composed)
    AlertMessage.objects.filter(route__name="first").update(due_at=timezone.now() - timedelta(hours=1))
    courier.run(patience=10)

    assert states() == [("first", "waiting", 1), ("second", "sent", 1)]


def test_an_address_that_is_not_public_is_refused(
    clock: Clock, courier: Courier, settings: Any, receiver: Receiver
) -> None:
    settings.OUTBOUND_ALLOW_PRIVATE = []
    route(target=receiver.url, secret=new_secret())
    opened(clock)
    courier.run(patience=10)

    assert states() == [("on call", "failed", 1)]
    assert receiver.posts == []


def test_a_message_that_another_process_has_is_left_to_it_until_its_lease_ends(
    clock: Clock, receiver: Receiver
) -> None:
    route(target=receiver.url, secret=new_secret())
    opened(clock)
    assert len(claim(10)) == 1, "and then that process is killed"
    assert claim(10) == []

    AlertMessage.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    Courier().run(patience=10)

    assert states() == [("on call", "sent", 2)]
    assert LEASE_SECONDS > 60


def test_a_route_that_hangs_holds_up_nobody(clock: Clock, courier: Courier, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(target: Any, message: Any) -> Outcome:
        time.sleep(1.5)
        return Outcome(True, "late")

    monkeypatch.setattr(module, "WAYS", {"webhook": Way(lambda target: None, hang)})
    route(secret=new_secret())
    opened(clock)

    begun = time.monotonic()
    courier.run(patience=0.1)
    assert time.monotonic() - begun < 1
    assert states() == [("on call", "waiting", 1)]
    courier.run(patience=5)
    assert states() == [("on call", "sent", 1)]


def test_what_opened_and_resolved_before_it_was_told_is_told_as_resolved(
    clock: Clock, courier: Courier, receiver: Receiver
) -> None:
    route(target=receiver.url, secret=new_secret())
    opened(clock)
    clock.set(Metric.DEAD, 0)
    clock.look()
    courier.run(patience=10)

    [alert] = json.loads(receiver.posts[0].body)["data"]["alerts"]
    assert alert["event"] == "resolved"
    assert AlertMessage.objects.get().subject == "Resolved: Given up on"


def test_the_distance_between_tries_grows() -> None:
    assert [retry_in(n) for n in range(1, 8)] == [5, 15, 45, 135, 405, 600, 600]


class TestTestMessages:
    def test_a_test_is_sent_at_once_and_tells_how_it_went(self, receiver: Receiver) -> None:
        message = services.send_test(route(target=receiver.url, secret=new_secret()))

        assert (message.state, message.answer[:8]) == ("sent", "HTTP 200")
        assert json.loads(receiver.posts[0].body)["type"] == "alerts.test"

    def test_a_test_that_fails_is_not_tried_again_nor_handed_over(self) -> None:
        with listening(500) as broken:
            second = route("second", target=broken.url, secret=new_secret())
            message = services.send_test(route(target=broken.url, secret=new_secret(), fallback=second))

        assert message.state == "failed"
        assert AlertMessage.objects.count() == 1


class TestHeartbeat:
    @pytest.fixture(autouse=True)
    def _still(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(heartbeat._Heart, "evaluated_at", float("-inf"))
        monkeypatch.setattr(heartbeat._Heart, "told_at", float("-inf"))

    def test_it_beats_after_an_evaluation_and_not_more_often_than_it_should(
        self, settings: Any, receiver: Receiver
    ) -> None:
        settings.ALERT_HEARTBEAT_URL = receiver.url
        assert heartbeat.beat() is False, "nobody has evaluated anything"

        heartbeat.evaluated()
        assert heartbeat.beat() is True
        heartbeat.evaluated()
        assert heartbeat.beat() is False
        settings.ALERT_HEARTBEAT_SECONDS = 0
        assert heartbeat.beat() is True
        assert heartbeat.beat() is False, "nothing new to tell"
        assert len(receiver.posts) == 2

    def test_without_a_url_it_keeps_silent(self) -> None:
        heartbeat.evaluated()

        assert heartbeat.beat() is False
