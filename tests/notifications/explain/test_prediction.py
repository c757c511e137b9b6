"""What explaining predicts is what sending then does, whatever stands in the way; and it leaves no trace."""

import itertools
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from core import ids, redis
from notifications.choices import Status
from notifications.drafts import Draft
from notifications.explain import Explanation, Verdict, explain
from notifications.models import Delivery, DeliveryEvent, Notification, OutboxMessage, ProviderSwitch, RateLimit
from notifications.providers.breaker import Breaker
from notifications.providers.circuit import Report
from notifications.services.caps import CapAsk, FrequencyCaps
from notifications.services.notification import NotificationService
from notifications.services.rate_limiter import RateLimiter, RecipientAsk
from preferences.models import Suppression
from preferences.services import PreferencesService
from preferences.services.service import category_cache
from tests import factories
from tests.notifications.fakes import FakeProvider, use_provider
from tests.notifications.test_pipeline import work

pytestmark = pytest.mark.django_db

CHANNELS = ("push", "email", "sms", "in_app")
#: The SMS of this template comes out empty without an order.
WORDS = {
    "en": {
        "email": {"subject": "Your order", "text": "Order {{ order }}."},
        "push": {"title": "Your order", "body": "Order {{ order }}."},
        "sms": {"body": "{{ order }}"},
        "in_app": {"title": "Your order", "body": "Order {{ order }}."},
    }
}


@dataclass
class World:
    """What may stand in the way of one message."""

    said: dict[str, str] = field(default_factory=dict)
    late_said: dict[str, str] = field(default_factory=dict)
    has_email: bool = True
    has_phone: bool = True
    devices: int = 1
    suppressed: set[str] = field(default_factory=set)
    is_cached: bool = False
    is_required: bool = False
    purpose: str = "transactional"
    dedup_seconds: int = 0
    repeats: int = 0
    key: str = ""
    priority: str = "normal"
    person_limit: str = ""
    had: int = 0
    provider_states: dict[str, str] = field(default_factory=dict)
    has_order: bool = True
    is_later: bool = False
    is_asleep: bool = False
    had_of_cap: int | None = None
    is_test: bool = False


#: Most of the time all is well; otherwise nothing would get far.
mostly = st.sampled_from([True, True, True, False])
seldom = st.sampled_from([False, False, False, True])
words = st.dictionaries(st.sampled_from(CHANNELS), st.sampled_from(["no", "never", "no, but"]), max_size=2)
worlds = st.builds(
    World,
    said=words,
    late_said=words,
    has_email=mostly,
    has_phone=mostly,
    devices=st.sampled_from([0, 1, 1, 2]),
    suppressed=st.sets(st.sampled_from(["email", "sms"]), max_size=1),
    is_cached=st.booleans(),
    is_required=seldom,
    purpose=st.sampled_from(["transactional", "marketing"]),
    dedup_seconds=st.sampled_from([0, 300]),
    repeats=st.sampled_from([0, 0, 0, 1, 2]),
    key=st.sampled_from(["", "a key"]),
    priority=st.sampled_from(["critical", "normal", "low"]),
    person_limit=st.sampled_from(["", "category", "all"]),
    had=st.sampled_from([0, 1, 2, 2]),
    provider_states=st.dictionaries(
        st.sampled_from(["first", "second"]), st.sampled_from(["off", "open", "paused", "full"])
    ),
    has_order=mostly,
    is_later=seldom,
    is_asleep=seldom,
    had_of_cap=st.sampled_from([None, None, 0, 1, 2]),
    is_test=seldom,
)


@pytest.fixture
def providers(settings: Any) -> None:
    use_provider(settings, FakeProvider("first"), FakeProvider("second"))


@given(world=worlds)
@example(World())
@example(World(said={"email": "no", "push": "never", "sms": "no, but"}))
@example(World(is_cached=True, late_said={"email": "no", "in_app": "never"}))
@example(World(said={"email": "never"}, suppressed={"email"}, is_required=True))
@example(World(dedup_seconds=300, repeats=1))
@example(World(dedup_seconds=300, repeats=2, key="a key"))
@example(World(person_limit="category", had=2))
@example(World(person_limit="all", had=2, priority="critical"))
@example(World(person_limit="all", had=1, purpose="marketing"))
@example(World(provider_states={"first": "off"}))
@example(World(provider_states={"first": "open"}))
@example(World(provider_states={"first": "full"}))
@example(World(provider_states={"first": "paused", "second": "off"}))
@example(World(provider_states={"first": "off", "second": "full"}, is_test=True))
@example(World(has_order=False))
@example(World(is_asleep=True))
@example(World(is_asleep=True, priority="critical"))
@example(World(had_of_cap=0))
@example(World(had_of_cap=2))
@example(World(had_of_cap=2, is_required=True))
@example(World(had_of_cap=2, is_asleep=True, is_later=True))
@example(World(is_later=True, person_limit="all", had=2))
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_the_prediction_is_what_happens(providers: None, world: World) -> None:
    draft = set_up(world)
    dropped = dropped_by_itself()
    before, expiring, rows = everything_in_redis(), about_to_expire(), counts()

    told = explain(draft, source="api:test", is_test=world.is_test)
    away = redis.away()

    after = everything_in_redis()
    assert {key: dump for key, dump in after.items() if before.get(key) != dump} == {}
    gone = [key for key in before if key not in after and key not in expiring]
    assume(not gone or dropped_by_itself() == dropped)  # a server short of memory is another world each time
    assert gone == []
    assert counts() == rows
    happened = what_happened(draft, world)
    assume(not (away or redis.away()))  # a machine so busy that Redis answers late is another world each time
    assert predicted(told) == happened


def predicted(told: Explanation) -> dict[str, tuple[str, str]]:
    return {
        way.channel: (way.outcome.value, way.provider if way.outcome is Verdict.PASS else _reason(way.code))
        for way in told.ways
    }


def _reason(code: str) -> str:
    """Why something waits is on the record only where a worker had claimed it."""
    return code if code not in HOLDS else "waits"


HOLDS = {"rate_limit", "circuit_open", "throttled", "switched_off", "send_at", "quiet_hours"}


def what_happened(draft: Draft, world: World) -> dict[str, tuple[str, str]]:
    """Send it, let the workers have what is due, and read the record."""
    [accepted] = NotificationService().send([draft], source="api:test", is_test=world.is_test)
    work()
    found: dict[str, tuple[str, str]] = {}
    for row in Delivery.objects.filter(notification_id=accepted.id):
        ends = {
            Status.SENT: ("pass", row.provider),
            Status.SKIPPED: ("skip", row.skip_reason),
            Status.FAILED: ("refuse", row.error_code),
            Status.QUEUED: ("hold", "waits"),
        }
        assert found.setdefault(row.channel, ends[Status(row.status)]) == ends[Status(row.status)]
    return found


def set_up(world: World) -> Draft:
    for model in (RateLimit, ProviderSwitch, Suppression, OutboxMessage):
        model.objects.all().delete()
    for name in ("first", "second"):
        Breaker().reset(name)
    slug = f"orders-{next(_numbers)}"
    category = factories.category(
        slug, is_required=world.is_required, purpose=world.purpose, dedup_seconds=world.dedup_seconds
    )
    factories.template(slug, WORDS)
    category_cache.forget()
    person = factories.recipient(devices=world.devices)
    if not world.has_email:
        person.email = ""
    if not world.has_phone:
        person.phone = ""
    if world.is_asleep:
        now = timezone.now().replace(second=0, microsecond=0)
        person.quiet_start, person.quiet_end = (now - timedelta(hours=1)).time(), (now + timedelta(hours=3)).time()
    person.save()
    for channel in world.suppressed:
        address = person.email if channel == "email" else person.phone
        if address:
            PreferencesService().suppress(channel, address, "manual")
    draft = Draft(
        recipient=person.external_id, category=slug, template=slug, priority=world.priority, dedup_key=world.key,
        data={"order": "A-1"} if world.has_order else {},
        send_at=timezone.now() + timedelta(hours=1) if world.is_later else None,
    )  # fmt: skip
    _say(person, category, world.said)
    for _ in range(world.repeats):
        NotificationService().send([draft], source="api:test", is_test=world.is_test)
    OutboxMessage.objects.all().delete()
    if world.is_cached:
        PreferencesService().reach([person.external_id])
        _say(person, category, {c: w for c, w in world.late_said.items() if c not in world.said})
    if world.person_limit:
        RateLimit.objects.create(
            scope="recipient", target=slug if world.person_limit == "category" else "", max=2, per_seconds=3600
        )
        RateLimiter().recipients([RecipientAsk(person.pk.bytes, slug, key) for key in ids.keys(world.had)])
    if world.had_of_cap is not None:
        _cap(category, person, world.had_of_cap)
    for name, state in world.provider_states.items():
        _spoil(name, state)
    return draft


def _cap(category: Any, person: Any, had: int) -> None:
    category.cap_per_day = 2
    category.save()
    asks = [CapAsk(person.pk.bytes, category.pk, key) for key in ids.keys(had)]
    FrequencyCaps(RateLimiter()).refusals(asks, PreferencesService().categories_by_id({category.pk}), timezone.now())


def _say(person: Any, category: Any, said: dict[str, str]) -> None:
    """Written past the service: what the cache has is not dropped."""
    for channel, word in said.items():
        factories.preference(person, channel, enabled=False, category=category if word == "no" else None)
        if word == "no, but":
            factories.preference(person, channel, enabled=True, category=category)


def _spoil(name: str, state: str) -> None:
    if state == "off":
        ProviderSwitch.objects.create(provider=name, by="grace")
    elif state == "open":
        Breaker().report(name, Report(failed=100))
    elif state == "paused":
        Breaker().report(name, Report(pause=60.0))
    else:
        RateLimit.objects.create(scope="provider", target=name, max=1, per_seconds=3600)
        assert RateLimiter().provider(name, 1, priority="critical").granted <= 1


def everything_in_redis() -> dict[bytes, Any]:
    """All keys of this test; but for the one by which a process tries whether Redis takes writes."""
    client = redis.client()
    keys = sorted(key for key in client.scan_iter(match=redis.key("*")) if not key.endswith(b":writable"))
    return {key: dump for key in keys if (dump := client.dump(key)) is not None}


def about_to_expire() -> set[bytes]:
    """Keys that may be gone by themselves a moment later."""
    client = redis.client()
    return {key for key in client.scan_iter(match=redis.key("*")) if cast(int, client.pttl(key)) < 30_000}


def dropped_by_itself() -> tuple[int, int]:
    """How many keys the server expired or evicted, of anybody."""
    stats = cast(dict[str, Any], redis.client().info("stats"))
    return stats["expired_keys"], stats["evicted_keys"]


def counts() -> list[int]:
    return [model.objects.count() for model in (Notification, Delivery, DeliveryEvent, OutboxMessage)]


_numbers = itertools.count()
