"""What waits on the broker, as it is written down for those who may not ask it."""

from datetime import timedelta

import pytest
from django.conf import LazySettings
from django.db.models.functions import Now

from notifications import depths, live
from notifications.beats import LaneWaits, present
from notifications.errors import BrokerUnavailable
from notifications.messaging.base import Verdict, WorkMessage
from notifications.models import MaintenanceState, QueueDepth
from tests.notifications.messaging.harness import RabbitTransport, enqueue, ids, running, wait_for

pytestmark = pytest.mark.rabbitmq


def later() -> None:
    """The last look was a while ago."""
    MaintenanceState.objects.update(done_at=Now() - timedelta(seconds=60))


def lane() -> live.LaneState:
    return live.state().lane("email", "normal")


def test_what_waits_on_the_broker_is_known_to_who_reads_postgresql(rabbit: RabbitTransport) -> None:
    # Given two full messages on their way, and nobody to take them
    depths.look()
    for _ in range(2):
        enqueue(ids(500))
    rabbit.flush()
    # When maintenance looks
    later()
    wait_for(lambda: (depths.look() and lane().broker_depth == 2) or later(), what="both are in the queue")
    # Then it is known how many wait, and how long at most
    assert lane().broker_oldest_seconds < 60
    assert live.state().lane("sms", "low").broker_depth == 0


def test_of_several_who_look_one_does(rabbit: RabbitTransport) -> None:
    assert [depths.look() for _ in range(3)] == [True, False, False]


def test_a_worker_tells_how_long_what_it_took_had_waited(rabbit: RabbitTransport) -> None:
    # Given a worker that notes what it takes, and more than it can take
    waits = LaneWaits()

    def handle(message: WorkMessage) -> Verdict:
        waits.took(message.channel, message.priority, message.id)
        return Verdict.DONE

    # When messages have passed through the broker
    with present("worker", channels=["email"], priorities=["normal"], stats=lambda: {"lanes": waits.stats()}):
        enqueue(ids(1))
        rabbit.flush()
        with running(handle):
            wait_for(waits.stats, what="it was taken")
        # Then the beat says so
        wait_for(lambda: live.state().processes[0].stats["lanes"], what="the next beat")
        assert 0 <= live.state().processes[0].stats["lanes"]["email.normal"]["wait"] < 30


def test_a_broker_that_is_away_leaves_depths_unknown_and_nothing_else(
    rabbit: RabbitTransport, settings: LazySettings
) -> None:
    # Given a look that grew old, for the broker does not answer
    depths.look()
    later()
    QueueDepth.objects.update(at=Now() - timedelta(seconds=live.DEPTHS_STALE_SECONDS + 1))
    settings.BROKER_URL = "amqp://guest:guest@127.0.0.1:1/%2F"
    with pytest.raises(BrokerUnavailable):
        depths.look()
    # Then what waits there is unknown, and what stands in the outbox is not
    enqueue(ids(3))
    assert lane().broker_depth is None
    assert lane().due == 3
