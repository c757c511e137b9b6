"""A server that takes no writes is an outage, whoever asks; one that vanished is not waited for."""

import os
import socket

import pytest
from django.db import DatabaseError, OperationalError, connection, transaction

from notifications.choices import Status
from notifications.drafts import Draft
from notifications.messaging.base import Verdict, WorkMessage
from notifications.models import Delivery, OutboxMessage
from notifications.services.notification import NotificationService
from notifications.worker import Worker
from preferences.models import Category
from tests import factories
from tests.notifications.fakes import FakeProvider, use_provider


@pytest.mark.django_db
def test_a_write_that_is_refused_for_being_read_only_is_operational() -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")
        with pytest.raises(OperationalError, match="read-only"):
            Category.objects.create(slug="x", name="X")
        transaction.set_rollback(True)


@pytest.mark.django_db
def test_a_statement_that_is_wrong_is_still_our_fault() -> None:
    with pytest.raises(DatabaseError) as caught, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT nothing_of_that_name")
    assert not isinstance(caught.value, OperationalError)


@pytest.mark.django_db
def test_a_server_that_vanished_is_given_up_within_half_a_minute() -> None:
    connection.ensure_connection()
    with socket.socket(fileno=os.dup(connection.connection.fileno())) as line:
        if line.family == socket.AF_UNIX or not hasattr(socket, "TCP_USER_TIMEOUT"):
            pytest.skip("a server on this machine does not vanish; other systems have other options")
        told = [
            line.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
            *(line.getsockopt(socket.IPPROTO_TCP, option) for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL)),
            *(line.getsockopt(socket.IPPROTO_TCP, option) for option in (socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)),
        ]
    assert told == [1, 10, 5, 4, 30_000]


@pytest.mark.django_db(transaction=True)
def test_a_worker_waits_for_a_read_only_server_and_uses_no_attempt(settings) -> None:
    provider = use_provider(settings, FakeProvider("fake"))
    factories.category("orders")
    factories.template("order-shipped")
    factories.recipient("ann")
    draft = Draft(recipient="ann", category="orders", template="order-shipped", channels=["email"])
    NotificationService().send([draft], source="api:test")
    message = WorkMessage.of("email", "normal", OutboxMessage.objects.get().delivery_ids)

    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    try:
        assert Worker().process(message) is Verdict.AGAIN
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SET default_transaction_read_only = off")

    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.attempts) == (Status.QUEUED, 0)
    assert not provider.calls
    assert Worker().process(message) is Verdict.DONE
    assert len(provider.calls) == 1
