"""What the gates cost: microseconds of this process per notification, each gate by itself, in batches of 500.

    python -m benchmarks.gates [--batches 40]

The pure ones first (routing, what deduplication is asked), then those that ask Redis: marks, a person's limit, a
provider's limit, the circuit. Their figures hold the round trip. The best of all batches counts: the machine's
neighbours can only make it slower.
"""

import argparse
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from benchmarks.environment import environment

if TYPE_CHECKING:
    from notifications.services.acceptance import Batch, Item
    from preferences.services import CategoryInfo, Reach

BATCH = 500
CHANNELS = ("push", "email", "sms", "in_app")


def best(batches: int, work: Callable[[], object]) -> float:
    """Microseconds per notification."""
    times = []
    for _ in range(batches):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times) / BATCH * 1e6


def people() -> "dict[str, list[Reach]]":
    from core import ids
    from preferences.services import Reach

    def made(**fields: Any) -> "list[Reach]":
        return [
            Reach(id=ids.keys(1)[0], external_id=str(uuid4()), has_email=True, has_phone=True, **fields)
            for _ in range(BATCH)
        ]

    return {
        "reachable, no push": made(),
        "with a device": made(devices=tuple(ids.keys(1))),
        "opted out of one": made(devices=tuple(ids.keys(1)), off=("email:1",)),
        "suppressed on one": made(devices=tuple(ids.keys(1)), suppressed=("sms",)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=40)
    batches = parser.parse_args().batches
    with environment("database"):
        import django

        django.setup()
        from preferences.services import CategoryInfo

        category = CategoryInfo(1, "orders", CHANNELS, "normal", False, dedup_seconds=300)
        pure(batches, category)
        asking(batches, category)


def pure(batches: int, category: "CategoryInfo") -> None:
    from notifications.services.routing import route

    for name, reaches in people().items():
        channels = CHANNELS[1:] if name.endswith("no push") else CHANNELS
        took = best(batches, lambda: [route(one, category, channels) for one in reaches])  # noqa: B023 - used at once
        print(f"route, {name:22} {took:6.2f} us")


def _batch(reaches: "list[Reach]", category: "CategoryInfo") -> "tuple[Batch, list[Item]]":
    from notifications.drafts import Draft
    from notifications.services.acceptance import Batch
    from notifications.services.admission import NOTHING, Admitted, Terms

    terms = Terms(category, None, CHANNELS, "normal")
    batch = Batch("benchmark", False, datetime.now(UTC))
    drafts = [Draft(recipient=reach.external_id, category=category.slug) for reach in reaches]
    admitted = [
        Admitted(draft, reach, terms, b'{"n": 1}', NOTHING, None) for draft, reach in zip(drafts, reaches, strict=True)
    ]
    return batch, batch.items(admitted)


def asking(batches: int, category: "CategoryInfo") -> None:
    from django.db import transaction

    from core.postgresql.direct import direct_cursor
    from notifications.models import RateLimit
    from notifications.providers.gate import ProviderGate
    from notifications.services import deduplication
    from notifications.services.deduplication import DeduplicationService
    from notifications.services.rate_limiter import RateLimiter, RecipientAsk

    batch, items = _batch(people()["with a device"], category)
    print(f"what is said                  {best(batches, lambda: [batch.ask(item) for item in items]):6.2f} us")

    def marks() -> None:
        fresh, found = _batch(people()["with a device"], category)
        asks = [ask for item in found if (ask := fresh.ask(item))]
        began = time.perf_counter()
        with transaction.atomic(), direct_cursor() as cursor:
            cursor.execute(deduplication.BEGIN)
            now, lock = cursor.fetchone()[:2]
            DeduplicationService().firsts(cursor, asks, lock=lock, now=now, is_test=False)
        took.append(time.perf_counter() - began)

    took: list[float] = []
    for _ in range(batches):
        marks()
    print(f"deduplication                 {min(took) / BATCH * 1e6:6.2f} us")

    RateLimit.objects.create(scope="recipient", target="orders", max=5, per_seconds=86_400)
    RateLimit.objects.create(scope="provider", target="simulated_email", max=100_000_000, per_seconds=60)
    limiter = RateLimiter()

    def people_asks() -> list[RecipientAsk]:
        return [RecipientAsk(item.admitted.reach.id, "orders", item.id) for item in _batch(made, category)[1]]

    took.clear()
    for _ in range(batches):
        made = people()["with a device"]
        asks = people_asks()
        began = time.perf_counter()
        limiter.recipients(asks)
        took.append(time.perf_counter() - began)
    print(f"a person's limit              {min(took) / BATCH * 1e6:6.2f} us")
    gate = ProviderGate(limiter)

    def provider() -> object:
        gate.room(["simulated_email"], BATCH, priority="normal")
        return gate.ask("simulated_email", BATCH, priority="normal")

    print(f"room and provider             {best(batches * 4, provider):6.2f} us")


if __name__ == "__main__":
    main()
