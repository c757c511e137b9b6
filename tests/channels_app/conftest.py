"""A person with a feed, and messages for them. The provider works on threads of its own, so rows must be committed."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import pytest

from channels_app.provider import InAppProvider
from core.ids import uuid7
from notifications.providers.base import OutboundMessage, Outcome
from preferences.models import Recipient
from tests import factories


@pytest.fixture
def person(transactional_db: None) -> Recipient:
    return factories.recipient("ada", devices=0)


@pytest.fixture
def stranger(transactional_db: None) -> Recipient:
    return factories.recipient("eve", devices=0)


def message(person: Recipient, title: str = "Hello", *, delivery: UUID | None = None, **fields: Any) -> OutboundMessage:
    """A rendered in_app message; `content` fields beside the title by keyword, and `metadata` and `category`."""
    metadata, category = fields.pop("metadata", {}), fields.pop("category", "orders")
    return OutboundMessage(
        delivery_key=(delivery or uuid7()).bytes,
        notification_key=uuid7().bytes,
        recipient_key=person.id.bytes,
        channel="in_app",
        address=person.external_id,
        content={"title": title, **fields},
        category=category,
        metadata=metadata,
    )


def deliver(*messages: OutboundMessage) -> list[Outcome]:
    """Through the provider as a worker's thread would, without an event loop."""
    return InAppProvider("feed").deliver(messages)


def deliver_async(messages: Sequence[OutboundMessage]) -> list[Outcome]:
    """Through the provider as a worker does: on an event loop of its own."""
    return asyncio.run(InAppProvider("feed").send(messages))


Deliver = Callable[..., list[Outcome]]
