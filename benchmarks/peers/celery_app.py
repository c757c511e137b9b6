"""Celery's application: `celery -A benchmarks.peers.celery_app worker`."""

import os

from celery import Celery
from celery.worker.consumer import Consumer

QUEUE = os.environ["PEER_QUEUE"]

app = Celery("peers", broker=os.environ["PEER_BROKER_URL"])
app.conf.update(
    task_ignore_result=True,
    task_acks_late=True,
    task_default_queue=QUEUE,
    task_default_queue_type=os.environ["PEER_QUEUE_TYPE"],
    task_default_exchange_type="direct",
    task_serializer="json",
    accept_content=["json"],
    broker_transport_options={"confirm_publish": True},
    broker_pool_limit=int(os.environ["PEER_PUBLISHERS"]),
    broker_connection_retry_on_startup=True,
    worker_prefetch_multiplier=int(os.environ["PEER_PREFETCH"]),
    worker_send_task_events=False,
    worker_enable_remote_control=False,
    worker_disable_rate_limits=True,
    worker_hijack_root_logger=False,
    # Without this the worker closes its database connection before and after every task, whatever CONN_MAX_AGE says.
    CELERY_DB_REUSE_MAX=10**9,
)
# A worker of quorum queues sets up 28 queues for delays, in names of the whole server. No task here is delayed.
Consumer.Blueprint.default_steps.remove("celery.worker.consumer.delayed_delivery:DelayedDelivery")


def deliver(delivery_id: int) -> None:
    from benchmarks.peers import work  # not before Celery has set Django up

    work.deliver(delivery_id)


task = app.task(deliver, name="deliver")


def publish(delivery_ids: list[int]) -> None:
    """One message each over one connection of the pool, each confirmed."""
    with app.producer_or_acquire() as producer:
        for delivery_id in delivery_ids:
            task.apply_async((delivery_id,), producer=producer)
