"""Alerts while servers and evaluators die: people are told, and told once."""

import json
from collections.abc import Iterator

import pytest

from analytics.alerts.choices import Condition, Metric
from analytics.alerts.models import Alert, AlertMessage, AlertRoute, AlertRule
from core.standard_webhooks import new_secret
from tests.analytics.alerts.receiver import Receiver, listening
from tests.faults.conftest import Servers
from tests.faults.programs import wait_until
from tests.faults.stack import Stack

pytestmark = pytest.mark.faults

#: Rules are looked at every second; the receiver is on this machine.
QUICK = {"ALERT_EVERY_SECONDS": 1, "OUTBOUND_ALLOW_PRIVATE": "127.0.0.0/8"}
#: A message that is due and that nobody takes.
STUCK = (
    "INSERT INTO notifications_outbox (channel, priority, due_at, takes, delivery_ids)"
    " VALUES ('email', 'normal', now() - interval '10 minutes', 0, ARRAY[gen_random_uuid()])"
)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with listening() as found:
        yield found


def told(receiver: Receiver) -> list[str]:
    """What happened to alerts, as the receiver heard it."""
    return [alert["event"] for post in receiver.posts for alert in json.loads(post.body)["data"]["alerts"]]


def rule(receiver: Receiver) -> None:
    """The outbox is not emptied: told at once, to the receiver."""
    AlertRule.objects.all().delete()
    AlertRule.objects.create(
        name="Stuck",
        severity="critical",
        metric=Metric.OUTBOX_LAG,
        condition=Condition.ABOVE,
        threshold=60,
        clear_threshold=10,
        for_seconds=2,
        clear_seconds=2,
    )
    AlertRoute.objects.create(
        name="on call", kind="webhook", target=receiver.url, secret=new_secret(), receives="info", wait_seconds=0
    )


def test_two_evaluators_tell_once_and_one_goes_on_when_the_other_is_killed(stack: Stack, receiver: Receiver) -> None:
    rule(receiver)
    stack.query(STUCK)
    first, second = stack.maintenance(**QUICK), stack.maintenance(**QUICK)
    wait_until(lambda: told(receiver) == ["opened"], 120, "the word that it opened")
    assert Alert.objects.count() == 1

    first.kill()
    stack.query("DELETE FROM notifications_outbox")
    wait_until(lambda: told(receiver) == ["opened", "resolved"], 120, "the word that it is over")

    assert second.code is None
    assert Alert.objects.count() == 1
    assert AlertMessage.objects.count() == 2


def test_an_evaluator_that_is_killed_again_and_again_loses_no_alert(stack: Stack, receiver: Receiver) -> None:
    rule(receiver)
    stack.query(STUCK)
    for _ in range(3):
        seen = AlertRule.objects.get().seen_at
        program = stack.maintenance(**QUICK)
        wait_until(lambda seen=seen: AlertRule.objects.get().seen_at != seen, 120, "a look at the rule")  # type: ignore[misc]  # the loop's own
        program.kill()

    stack.maintenance(**QUICK)
    wait_until(lambda: "opened" in told(receiver), 150, "the word that it opened, after the lease at the latest")

    assert Alert.objects.count() == 1
    ids = {post.headers["webhook-id"] for post in receiver.posts}
    assert len(ids) == 1, "whoever was told twice can see that it is the same message"


@pytest.mark.rabbitmq
def test_people_are_told_while_redis_and_rabbitmq_hang(own: Servers, own_stack: Stack, receiver: Receiver) -> None:
    own_stack.query("DELETE FROM analytics_alertrule_explained_by")
    own_stack.query("UPDATE analytics_alertrule SET is_on = key IN ('outbox-lag', 'redis-away')")
    own_stack.query("UPDATE analytics_alertrule SET for_seconds = 2, clear_seconds = 2")
    own_stack.query(
        "INSERT INTO analytics_alertroute (name, kind, is_on, target, secret, receives, group_by, wait_seconds)"
        " VALUES ('on call', 'webhook', true, %s, %s, 'info', 'none', 0)",
        receiver.url,
        new_secret(),
    )
    own_stack.maintenance(**QUICK)
    wait_until(
        lambda: own_stack.one("SELECT count(*) FROM analytics_alertrule WHERE standing = 'good'") == 2,
        60,
        "a first look",
    )

    own.redis.freeze()
    own.rabbit.freeze()
    own_stack.query(STUCK)
    wait_until(lambda: sorted(told(receiver)) == ["opened", "opened"], 120, "both words")

    own.heal()
    own_stack.query("DELETE FROM notifications_outbox")
    wait_until(lambda: sorted(told(receiver)[2:]) == ["resolved", "resolved"], 120, "that both are over")
