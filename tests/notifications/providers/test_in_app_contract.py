"""The real feed keeps the same contract."""

from collections.abc import Sequence
from typing import Any

import pytest

from channels_app.models import FeedItem
from channels_app.provider import InAppProvider
from core.ids import uuid7
from notifications.providers.base import OutboundMessage
from preferences.models import Recipient
from tests import factories
from tests.notifications.providers.contract import ProviderContract


@pytest.mark.django_db(transaction=True)
class TestInApp(ProviderContract):
    channel = "in_app"
    person: Recipient

    @pytest.fixture
    def provider(self) -> InAppProvider:
        self.person = factories.recipient("user-1")
        return InAppProvider("feed")

    def message(self, n: int = 0, **changes: Any) -> OutboundMessage:
        return super().message(
            n, **{"recipient_key": self.person.id.bytes, "address": self.person.external_id, **changes}
        )

    def bad_message(self) -> OutboundMessage:
        return self.message(recipient_key=uuid7().bytes)  # erased since

    def effects(self, messages: Sequence[OutboundMessage]) -> int:
        return FeedItem.objects.filter(id__in=[message.delivery_id for message in messages]).count()
