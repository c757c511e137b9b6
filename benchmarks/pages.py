"""How long pages over the record take in a web process as it is deployed: the feed, a timeline, the admin's lists."""

import http.client
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from benchmarks.environment import ROOT

#: Requests of each page before the measured ones.
WARM_UP = 5
START_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Page:
    """One kind of page: its address for a sample, and the headers that let us in."""

    name: str
    path: Callable[["Sample"], str]
    headers: Callable[["Sample"], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Sample:
    """A notification of the record with its delivery, its person, and where it came from."""

    notification: UUID
    delivery: UUID
    recipient: UUID
    external_id: str
    category: int
    source: str
    at: datetime


@dataclass(slots=True)
class Took:
    """Milliseconds, one per request."""

    name: str
    times: list[float] = field(default_factory=list)

    def figures(self) -> dict[str, float]:
        ordered = sorted(self.times)
        return {
            "p50_ms": round(ordered[len(ordered) // 2], 1),
            "p99_ms": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))], 1),
            "max_ms": round(ordered[-1], 1),
        }


def measure(samples: Sequence[Sample]) -> dict[str, dict[str, float]]:
    """Each page once per sample, on one connection. Raises RuntimeError when an answer is not 200."""
    admin, api = admin_cookie(), _api_token()
    found = {}
    with web() as connection:
        for page in pages(admin, api):
            took = Took(page.name)
            for sample in samples[:WARM_UP]:
                get(connection, page.path(sample), page.headers(sample))
            for sample in samples:
                took.times.append(get(connection, page.path(sample), page.headers(sample)))
            found[page.name] = took.figures()
            print(f"{page.name}: {found[page.name]}", file=sys.stderr)
    return found


def pages(admin: Mapping[str, str], api: Mapping[str, str]) -> Iterator[Page]:
    yield Page("feed", lambda _: "/api/v1/feed/", lambda s: _feed_token(s.recipient))
    yield Page("timeline, API", lambda s: f"/api/v1/notifications/{s.notification}/", lambda _: api)
    yield Page("timeline, admin", lambda s: _admin("notification", f"{s.notification}/change/"), lambda _: admin)
    yield Page(
        "list, API, by recipient", lambda s: _query("/api/v1/notifications/", recipient=s.external_id), lambda _: api
    )
    for name, kind, asked in _LISTS:
        yield Page(
            f"{kind} list, {name}",
            lambda s, kind=kind, asked=asked: _query(_admin(kind), **asked(s)),  # type: ignore[misc]  # bound early
            lambda _: admin,
        )


def _span(sample: Sample) -> dict[str, object]:
    start = sample.at.replace(minute=0, second=0, microsecond=0)
    return {"created_from": f"{start:%Y-%m-%dT%H:%M}", "created_to": f"{start + timedelta(hours=1):%Y-%m-%dT%H:%M}"}


_LISTS: Sequence[tuple[str, str, Callable[[Sample], dict[str, object]]]] = (
    ("no filter", "notification", lambda s: {}),
    ("by recipient", "notification", lambda s: {"recipient": s.external_id}),
    ("by category", "notification", lambda s: {"category": s.category}),
    ("by source", "notification", lambda s: {"source": s.source}),
    ("by an hour", "notification", _span),
    ("search for its id", "notification", lambda s: {"q": s.notification}),
    ("search for a person", "notification", lambda s: {"q": s.external_id}),
    ("no filter", "delivery", lambda s: {}),
    ("by channel", "delivery", lambda s: {"channel__exact": "sms"}),
    ("failed", "delivery", lambda s: {"status__exact": "failed"}),
    ("dead", "delivery", lambda s: {"status__exact": "dead"}),
    ("queued, of which there are none", "delivery", lambda s: {"status__exact": "queued"}),
    ("by an hour", "delivery", _span),
    ("by an hour and failed", "delivery", lambda s: {**_span(s), "status__exact": "failed"}),
    ("search for its id", "delivery", lambda s: {"q": s.delivery}),
    ("search for a person", "delivery", lambda s: {"q": s.external_id}),
)


def choose(count: int, since: datetime, until: datetime) -> list[Sample]:
    """Notifications at random moments of a span."""
    from django.db import connection

    from core.ids import floor

    rng = random.Random(11)
    found = []
    with connection.cursor() as cursor:
        for _ in range(count):
            low = floor(since + (until - since) * rng.random())
            cursor.execute(
                "SELECT n.id, d.id, r.id, r.external_id, n.category_id, n.source, n.created_at"
                " FROM (SELECT * FROM notifications_notification WHERE id >= %s ORDER BY id LIMIT 1) n"
                " JOIN notifications_delivery d ON d.notification_id = n.id"
                " JOIN preferences_recipient r ON r.id = n.recipient_id LIMIT 1",
                [str(low)],
            )
            found.append(Sample(*cursor.fetchone()))
    return found


@contextmanager
def web() -> Iterator[http.client.HTTPConnection]:
    """A connection to a web process of its own, which ends with it."""
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(port), "config.asgi:application"]
    # DEMO takes static files from the packages: nothing needs to be collected.
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, env={**os.environ, "DEMO": "1"})
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                get(connection, "/healthz", {})
                break
            except OSError:
                connection.close()
                if time.monotonic() > deadline or process.poll() is not None:
                    raise
                time.sleep(0.2)
        yield connection
    finally:
        connection.close()
        process.terminate()
        process.wait(timeout=60)


def get(connection: http.client.HTTPConnection, path: str, headers: Mapping[str, str]) -> float:
    """Milliseconds until the whole answer is here."""
    began = time.perf_counter()
    connection.request("GET", path, headers=dict(headers))
    answer = connection.getresponse()
    body = answer.read()
    took = (time.perf_counter() - began) * 1000
    if answer.status != http.HTTPStatus.OK:
        raise RuntimeError(f"GET {path}: {answer.status} {body[:200]!r}")
    return took


def _admin(kind: str, rest: str = "") -> str:
    return f"/admin/notifications/{kind}/{rest}"


def _query(path: str, **asked: object) -> str:
    return f"{path}?{urlencode(asked)}" if asked else path


def admin_cookie() -> dict[str, str]:
    from django.conf import settings
    from django.contrib.auth.models import User
    from django.test import Client

    user, _ = User.objects.get_or_create(username="benchmark", is_staff=True, is_superuser=True)
    client = Client()
    client.force_login(user)
    return {"Cookie": f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"}


def _api_token() -> dict[str, str]:
    from notifications.services import api_keys

    return {"Authorization": f"Bearer {api_keys.issue('benchmark')[1]}"}


def _feed_token(recipient: UUID) -> dict[str, str]:
    from channels_app.identity import issue_token

    return {"Authorization": f"Bearer {issue_token(recipient).token}"}


def slow(found: Mapping[str, Mapping[str, Any]], bound: float) -> list[str]:
    """The pages whose p99 is beyond a bound, in milliseconds."""
    return [name for name, figures in found.items() if figures["p99_ms"] >= bound]
