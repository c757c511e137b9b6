"""Every call of the API as its own document describes it, and rows for the calls to hit."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.contrib.auth.models import User
from drf_spectacular.generators import SchemaGenerator

from analytics.webhooks import endpoints
from analytics.webhooks.endpoints import Wishes
from campaigns.models import Campaign, Segment
from campaigns.segments.lists import ListService
from channels_app import identity
from channels_app.models import FeedItem
from notifications.models import MessageTemplate
from preferences.models import Category, Recipient, Suppression
from preferences.services import PreferencesService
from tests import factories
from tests.admin import notification
from tests.api import Api
from tests.channels_app.conftest import deliver, message

METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True)
class Operation:
    """One call: `path` with its parameters in braces."""

    method: str
    path: str
    parameters: tuple[Mapping[str, Any], ...]
    takes_body: bool
    is_personal: bool

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@cache
def document() -> dict[str, Any]:
    made: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return made


def operations() -> list[Operation]:
    return [
        Operation(
            method.upper(),
            path,
            tuple(found.get("parameters", ())),
            "requestBody" in found,
            any("feedToken" in way for way in found["security"]),
        )
        for path, item in document()["paths"].items()
        for method, found in item.items()
        if method in METHODS
    ]


class Rows:
    """A small installation: a person with a device and an item, an order, a template, a category. Calls know a live
    key, a test key and the person's feed token."""

    def __init__(self) -> None:
        self.person: Recipient = factories.recipient("user-42")
        self.sent = notification("user-42")
        deliver(message(self.person, "Hello"))
        owner = User.objects.create_superuser("key-owner")  # whom a key acts as with campaigns
        self.live, self.test = Api(owner=owner), Api(mode="test", owner=owner)
        self.campaign = Campaign.objects.create(
            name="Spring", template=MessageTemplate.objects.get(), category=Category.objects.get(slug="orders")
        )
        self.endpoint = endpoints.create(Wishes(url="https://shop.example/hooks"), keys=[self.live.key])
        self.segment = Segment.objects.create(name="Everyone")
        self.list = ListService().create("VIPs", by=None)
        ListService().add(self.list.pk, ["user-42"])
        PreferencesService().suppress("email", "gone@example.com", "manual")
        self.suppression = Suppression.objects.get()
        self.feed_token = identity.issue_token(self.person.id).token

    def fill(self, path: str) -> str:
        """The path with what exists; a parameter nobody knows here gets a word."""
        for name in re.findall(r"{(\w+)}", path):
            path = path.replace(f"{{{name}}}", self.known(path, name))
        return path

    def known(self, path: str, name: str) -> str:
        rows = {
            "/webhooks/endpoints/": self.endpoint,
            "/campaigns/": self.campaign,
            "/suppressions/": self.suppression,
            "/notifications/": self.sent,
        }
        row = next((row for part, row in rows.items() if part in path), None)
        if row is not None:
            return str(row.pk)
        if name in {"segment_id", "list_id"}:
            return str((self.segment if name == "segment_id" else self.list).pk)
        if "/device-tokens/" in path and name == "id":
            return str(self.person.device_tokens.first().pk)
        values = {
            "external_id": "user-42",
            "item_id": str(FeedItem.objects.values_list("id", flat=True).first()),
            "slug": "order-shipped" if "/templates/" in path else "orders",
            "provider": "simulated_email",
        }
        return values.get(name, "x")

    def headers(self, operation: Operation, *, test: bool = False) -> dict[str, str]:
        """Of whoever may make the call: the person, or a key; the sandbox's calls are for test keys alone."""
        test = test or operation.path.startswith("/api/v1/sandbox/")
        token = self.feed_token if operation.is_personal else (self.test if test else self.live).token
        return {"Authorization": f"Bearer {token}"}
