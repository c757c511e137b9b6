"""Dramatiq's broker and actor: `dramatiq benchmarks.peers.dramatiq_app`."""

import os
from typing import Any

import django
import dramatiq
import orjson
from django.apps import apps
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.middleware import Retries, ShutdownNotifications

if not apps.ready:  # the worker imports this module first
    django.setup()

from benchmarks.peers import work

QUEUE = os.environ["PEER_QUEUE"]


class Broker(RabbitmqBroker):
    """The queue type is not an option of Dramatiq 2; this is the method that its users override for it."""

    def _build_queue_arguments(self, queue_name: str) -> dict[str, Any]:
        arguments: dict[str, Any] = super()._build_queue_arguments(queue_name)
        return {**arguments, "x-queue-type": os.environ["PEER_QUEUE_TYPE"]}


class Encoder(dramatiq.Encoder):
    def encode(self, data: Any) -> bytes:
        return orjson.dumps(data)

    def decode(self, data: bytes) -> Any:
        return orjson.loads(data)


broker = Broker(
    url=os.environ["PEER_BROKER_URL"],
    confirm_delivery=True,
    middleware=[ShutdownNotifications(), Retries(max_retries=8)],  # the others cost time and do nothing here
)
dramatiq.set_broker(broker)
dramatiq.set_encoder(Encoder())
task = dramatiq.actor(work.deliver, actor_name="deliver", queue_name=QUEUE)


def publish(delivery_ids: list[int]) -> None:
    """One message each over this thread's connection, each confirmed."""
    for delivery_id in delivery_ids:
        task.send(delivery_id)
