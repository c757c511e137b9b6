"""What the tests of the admin share: a row of everything, people who may and may not, and plans of captured queries."""

import json
import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.db.backends.utils import CursorWrapper
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from analytics.models import Alert, AlertEvent, AlertMessage, AlertRoute, AlertRule, Silence
from analytics.webhooks import endpoints
from analytics.webhooks.endpoints import Wishes
from analytics.webhooks.models import WebhookAttempt, WebhookMessage
from campaigns.models import Segment
from campaigns.segments.lists import ListService
from core import ids
from notifications.choices import Channel, EventType
from notifications.drafts import Draft
from notifications.models import (
    DeadLetter,
    Delivery,
    Digest,
    MessageTemplate,
    Notification,
    OutboxMessage,
    ProviderSwitch,
    RateLimit,
    SandboxState,
    SimulatedCall,
)
from notifications.models.dead_letter import DeadCause
from notifications.services import events_lane, replays
from notifications.services.events_lane import Incoming
from notifications.services.letters import LetterFilter
from notifications.services.notification import NotificationService
from notifications.services.tracking import DeliveryTracker
from preferences.choices import Changed, Way
from preferences.models import ChangeRecord, HeardKeyword, MarketingStop
from preferences.services import PreferencesService
from tests import factories


def page(row_or_model: Any, name: str = "") -> str:
    """The address of a list (a model), of a row, or of a named page of a row."""
    opts = row_or_model._meta
    if isinstance(row_or_model, type):
        return reverse(f"admin:{opts.app_label}_{opts.model_name}_{name or 'changelist'}")
    return reverse(f"admin:{opts.app_label}_{opts.model_name}_{name or 'change'}", args=[row_or_model.pk])


def notification(recipient: str, **fields: Any) -> Notification:
    """One on the record, with its deliveries, through the front door."""
    factories.category("orders")
    if "content" not in fields:
        if not MessageTemplate.objects.filter(slug="order-shipped").exists():
            factories.template("order-shipped")
        fields = {"template": "order-shipped", "data": {"order": "A1"}, **fields}
    draft = Draft(**{"recipient": recipient, "category": "orders", **fields})
    [accepted] = NotificationService().send([draft], source="api:test")
    return Notification.objects.get(pk=accepted.id)


def delivery(of: Notification, channel: str = Channel.EMAIL) -> Delivery:
    return Delivery.objects.get(notification=of, channel=channel)


def dead_letter(of: Notification) -> DeadLetter:
    """Its email is given up on."""
    chosen = delivery(of)
    OutboxMessage.objects.filter(channel=chosen.channel).delete()
    DeliveryTracker().bury([chosen.pk.bytes], cause=DeadCause.POISON, detail="its handling crashed")
    return DeadLetter.objects.get(delivery_id=chosen.pk)


def simulated_call(**fields: Any) -> SimulatedCall:
    """An email as the simulated provider received and took it."""
    values = {
        "provider": "simulated_email",
        "delivery_id": ids.uuid7(),
        "recipient_id": ids.uuid7(),
        "attempt": 1,
        "is_test": True,
        "address": "ada@example.com",
        "category": "orders",
        "content": {
            "subject": "Order A1 is on its way",
            "text": "Hello Ada,\nit has left.",
            "html": "<p>Hello <b>Ada</b></p>",
        },
        "outcome": "accepted",
    }
    return SimulatedCall.objects.create(**{**values, **fields})


def alert(**fields: Any) -> Alert:
    """One that fires since a moment ago, told to a route, and somebody who asked for quiet."""
    now = timezone.now()
    rule, _ = AlertRule.objects.get_or_create(
        key="breaker-open", defaults={"name": "Circuit open", "metric": "breaker_open", "threshold": 1}
    )
    values = {
        "rule": rule,
        "fingerprint": f"{rule.pk}:email:simulated_email",
        "title": "Circuit open: simulated_email",
        "severity": "warning",
        "channel": "email",
        "provider": "simulated_email",
        "phase": "firing",
        "summary": "Its circuit is open: it failed too often or was too slow.",
        "since": now,
        "seen_at": now,
        "opened_at": now,
    }
    made = Alert.objects.create(**{**values, **fields})
    event = AlertEvent.objects.create(alert=made, what="opened", note=made.summary)
    route, _ = AlertRoute.objects.get_or_create(name="On call", defaults={"kind": "email", "target": "ops@example.com"})
    AlertMessage.objects.create(route=route, state="sent", subject=made.title, attempts=1, sent_at=now).events.add(
        event
    )
    Silence.objects.get_or_create(
        reason="Moving house", defaults={"by": "grace", "channel": "sms", "ends_at": now + timedelta(hours=1)}
    )
    return made


def webhook() -> WebhookMessage:
    """An endpoint, a message to it that has failed, and the request that did."""
    key, _ = factories.api_key()
    endpoint = endpoints.create(Wishes(url="https://shop.example/hooks", description="Shop"), keys=[key])
    failed = WebhookMessage.objects.create(
        endpoint=endpoint, type="test", status="failed", attempts=8, end_reason="exhausted"
    )
    WebhookAttempt.objects.create(
        message=failed, number=8, outcome="refused", status=500, milliseconds=12, answer="<b>Oops</b>"
    )
    return failed


def a_row_of_everything() -> Notification:
    """Something for every page to show."""
    person = factories.recipient("ada")
    factories.preference(person, "sms")
    MarketingStop.objects.create(recipient=person, channel="sms")
    ChangeRecord.objects.create(recipient=person, what=Changed.LOCALE, after="de", way=Way.PAGE, batch=uuid4())
    Digest.objects.create(recipient=person, category=factories.category("orders"), closes_at=timezone.now())
    PreferencesService().suppress("email", "gone@example.com", "manual")
    HeardKeyword.objects.create(origin="simulated_sms", address_hash="0" * 64, word="stop", said_at=timezone.now())
    factories.api_key()
    Group.objects.create(name="Operators")
    SandboxState.objects.create(provider="simulated_email", options={"outage": True}, by="grace")
    simulated_call(recipient_id=person.pk)
    RateLimit.objects.create(scope="provider", target="simulated_email", max=1_000, per_seconds=60)
    sent = notification("ada")
    ProviderSwitch.objects.create(provider="simulated_sms_backup", by="grace", reason="Invoices unpaid")
    letter = dead_letter(sent)
    replays.start(LetterFilter(ids=(letter.pk,)), per_minute=1, by="grace", via="admin")
    alert()
    webhook()
    Segment.objects.create(name="Readers", definition={"all": [{"field": "email", "op": "is_set"}]})
    ListService().add(ListService().create("VIPs", by=None).pk, ["ada"])
    events_lane.put([Incoming(type=EventType.DELIVERED, origin="simulated_email", delivery_id=delivery(sent).pk)])
    return sent


def signed_in(*, may: str = "", staff: bool = True) -> Client:
    """A client of someone on the staff. `may` is "everything", "view" (see every page, change none) or nothing."""
    user = User.objects.create_user(f"user-{may or 'nobody'}", password="pw", is_staff=staff)
    if may == "everything":
        user.is_superuser = True
        user.save()
    if may == "view":
        user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client = Client()
    client.force_login(user)
    return client


def big_tables_scanned(queries: list[dict[str, str]], *, over: int = 1000) -> set[str]:
    """Tables and partitions of more than `over` rows that any of these queries would read from end to end."""
    found: set[str] = set()
    with connection.cursor() as cursor:
        for query in queries:
            if not query["sql"].lstrip().upper().startswith("SELECT"):
                continue
            plan = _explained(cursor, query["sql"])
            scanned = _sequential(plan if isinstance(plan, list) else json.loads(plan))
            cursor.execute(
                "SELECT relname FROM pg_class WHERE relname = ANY(%s) AND reltuples > %s", [list(scanned), over]
            )
            found |= {row[0] for row in cursor.fetchall()}
    return found


def _explained(cursor: CursorWrapper, sql: str) -> Any:
    """The plan of a query; of one whose values travel apart ($1, $2: a direct cursor's), the one for any values."""
    numbers = [int(number) for number in re.findall(r"\$(\d+)", sql)]
    if not numbers:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}")
        return cursor.fetchone()[0]
    cursor.execute(f"PREPARE looked_at AS {sql}")
    cursor.execute("SET plan_cache_mode = force_generic_plan")
    cursor.execute(f"EXPLAIN (FORMAT JSON) EXECUTE looked_at({', '.join(['NULL'] * max(numbers))})")
    plan = cursor.fetchone()[0]
    cursor.execute("RESET plan_cache_mode")
    cursor.execute("DEALLOCATE looked_at")
    return plan


def _sequential(node: Any) -> set[str]:
    if isinstance(node, list):
        return set().union(*map(_sequential, node)) if node else set()
    if not isinstance(node, dict):
        return set()
    own = {node["Relation Name"]} if node.get("Node Type") == "Seq Scan" else set()
    return own | _sequential([value for value in node.values() if isinstance(value, list | dict)])


def counted(queries: list[dict[str, str]], *models: type[Model]) -> list[str]:
    """The queries that count rows of one of these tables."""
    tables = "|".join(model._meta.db_table for model in models)
    return [
        q["sql"]
        for q in queries
        if re.search(rf'COUNT\(\*\).*FROM "?({tables})\b', q["sql"], re.IGNORECASE | re.DOTALL)
    ]
