from collections.abc import Iterator

import pytest
from django.conf import LazySettings

from notifications import messaging
from notifications.relay import Relay
from tests.notifications.messaging.harness import DatabaseTransport, RabbitTransport, Transport


@pytest.fixture
def rabbit(settings: LazySettings, broker_url: str, transactional_db: None) -> Iterator[RabbitTransport]:
    """RabbitMQ as the transport, with queues of this run's own name, new and empty."""
    settings.BROKER_URL = broker_url
    settings.BROKER_DELIVERY_LIMIT = 3
    messaging.delete_topology()
    publisher = messaging.publisher()
    messaging.declare_topology()
    yield RabbitTransport(Relay(publisher))
    publisher.close()
    settings.BROKER_URL = broker_url
    messaging.delete_topology()


@pytest.fixture(params=["database", pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)])
def transport(request: pytest.FixtureRequest, settings: LazySettings, transactional_db: None) -> Transport:
    """Each in turn: what is written against this fixture is what every transport promises."""
    settings.BROKER_DELIVERY_LIMIT = 3
    if request.param == "rabbitmq":
        found: RabbitTransport = request.getfixturevalue("rabbit")
        return found
    return DatabaseTransport()
