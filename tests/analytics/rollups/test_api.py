"""/api/v1/stats/: the dashboard's numbers for programs."""

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from analytics.observer import MinuteCounts
from core.moments import database_now
from notifications import latency
from notifications.observers import OutcomeKey
from preferences.models import Category
from tests import factories
from tests.api import Api

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


@pytest.fixture
def api() -> Api:
    return Api(scopes=["stats:read"])


@pytest.fixture
def orders() -> Category:
    return factories.category("orders")


@pytest.fixture
def now(orders: Category) -> datetime:
    """Half an hour ago ten emails were accepted and nine sent in half a second, now an SMS is refused."""
    now = database_now()
    sent = OutcomeKey("api:abc", orders.id, "email", "smtp", "sent")
    half = sent._replace(outcome=latency.OUTCOME, reason=latency.bucket(timedelta(seconds=0.5)))
    accepted = OutcomeKey("api:abc", orders.id, "", "", "accepted")
    MinuteCounts().record({accepted: 10, sent: 9, half: 9}, now - 30 * MINUTE)
    MinuteCounts().record({OutcomeKey("campaign:1", 0, "sms", "gate", "failed", "rejected"): 4}, now)
    return now


def ask(api: Api, path: str = "stats/", status: int = 200, **query: Any) -> dict[str, Any]:
    texts = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in query.items()}
    answer = api.get(f"{path}?{urlencode(texts)}")
    assert answer.status_code == status, answer.content
    found: dict[str, Any] = answer.json()
    return found


def test_totals_counts_and_latency_of_the_last_day(api: Api, now: datetime) -> None:
    found = ask(api)

    assert found["totals"] == {"accepted": 10, "failed": 4, "sent": 9}
    assert {"outcome": "failed", "channel": "sms", "reason": "rejected", "count": 4} in found["counts"]
    assert {"outcome": "accepted", "channel": None, "reason": None, "count": 10} in found["counts"]
    assert found["latency"]["count"] == found["latency_by_channel"]["email"]["count"] == 9
    assert found["latency"]["p50"] == pytest.approx(0.5, rel=0.26)
    assert found["since"].endswith("Z")


@pytest.mark.parametrize(
    ("query", "sent"),
    [
        ({"channel": "email"}, 9),
        ({"channel": "sms"}, 0),
        ({"category": "orders"}, 9),
        ({"provider": "smtp"}, 9),
        ({"source": "campaign:1"}, 0),
        ({"source": "api:abc", "category": "orders", "channel": "email", "provider": "smtp"}, 9),
    ],
)
def test_figures_can_be_narrowed(api: Api, now: datetime, query: dict[str, str], sent: int) -> None:
    assert ask(api, **query)["totals"].get("sent", 0) == sent


def test_a_span_is_of_whole_minutes_and_says_which(api: Api, now: datetime) -> None:
    found = ask(api, since=now - 30 * MINUTE, until=now - 29 * MINUTE)

    assert found["totals"] == {"accepted": 10, "sent": 9}
    begins = datetime.fromisoformat(found["since"])
    assert (begins.second, datetime.fromisoformat(found["until"]) - begins) == (0, MINUTE)
    assert ask(api, since=now - 29 * MINUTE, until=now - 10 * MINUTE)["totals"] == {}


def test_a_series_has_a_value_for_each_step(api: Api, now: datetime) -> None:
    found = ask(api, "stats/series/", outcome="sent,failed", by="outcome", since=now - 40 * MINUTE)

    assert found["step_seconds"] == 60
    assert {name: sum(line) for name, line in found["lines"].items()} == {"sent": 9, "failed": 4}
    assert {len(line) for line in found["lines"].values()} == {len(found["at"])} == {41}
    whole = ask(api, "stats/series/", by="none", points=1)["lines"]
    assert (list(whole), sum(whole[""])) == ([""], 9)


def test_latency_over_time(api: Api, now: datetime) -> None:
    found = ask(api, "stats/latency/", since=now - 40 * MINUTE)

    told = [value for value in found["p95"] if value is not None]
    assert told == [pytest.approx(0.5, rel=0.26)]
    assert len(found["at"]) == len(found["p50"]) == len(found["p99"])


def test_a_ranking_names_categories_by_their_slug(api: Api, now: datetime) -> None:
    assert ask(api, "stats/top/", by="category")["results"] == [{"name": "orders", "count": 9}]
    assert ask(api, "stats/top/")["results"] == [{"name": "api:abc", "count": 9}]
    assert ask(api, "stats/top/", by="reason", outcome="failed,sent")["results"] == [
        {"name": None, "count": 9}, {"name": "rejected", "count": 4},
    ]  # fmt: skip
    assert len(ask(api, "stats/top/", outcome="failed,sent", limit=1)["results"]) == 1


@pytest.mark.parametrize(
    ("path", "query", "parameter"),
    [
        ("stats/", {"since": "yesterday"}, "since"),
        ("stats/", {"since": "2026-01-01T00:00:00"}, "since"),
        ("stats/", {"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}, "since"),
        ("stats/", {"since": "9999-12-31T23:59:59Z"}, "since"),
        ("stats/", {"until": "0001-01-01T00:00:00Z"}, "since"),
        ("stats/", {"channel": "pigeon"}, "channel"),
        ("stats/", {"category": "nowhere"}, "category"),
        ("stats/", {"chanel": "email"}, "chanel"),
        ("stats/", {"points": "10"}, "points"),
        ("stats/series/", {"outcome": "sent,gone"}, "outcome"),
        ("stats/series/", {"by": "source"}, "by"),
        ("stats/series/", {"points": "501"}, "points"),
        ("stats/latency/", {"points": "0"}, "points"),
        ("stats/top/", {"limit": "101"}, "limit"),
        ("stats/top/", {"outcome": "latency"}, "outcome"),
    ],
)
def test_what_is_wrong_is_named(api: Api, path: str, query: dict[str, str], parameter: str) -> None:
    answer = ask(api, path, 422, **query)

    assert answer["type"] == "urn:carillon:problem:validation"
    assert [error["parameter"] for error in answer["errors"]] == [parameter]


@pytest.mark.parametrize(
    "query",
    [
        {"since": "0001-01-01T00:00:00Z"},
        {"until": "9999-12-31T23:59:59Z"},
        {"since": "0001-01-01T00:00:00+14:00", "until": "9999-12-31T23:59:59-14:00"},
    ],
)
@pytest.mark.parametrize("path", ["stats/", "stats/series/", "stats/latency/", "stats/top/"])
def test_any_span_of_the_calendar_is_answered(api: Api, now: datetime, path: str, query: dict[str, str]) -> None:
    answer = api.get(f"{path}?{urlencode(query)}")

    assert answer.status_code in (200, 422)


@pytest.mark.parametrize("path", ["stats/", "stats/series/", "stats/latency/", "stats/top/"])
def test_a_key_without_the_scope_reads_none_of_it(path: str) -> None:
    assert ask(Api(scopes=["notifications:read"]), path, 403)["missing_scope"] == "stats:read"


def test_a_word_with_a_null_byte_matches_nothing_or_is_refused(api: Api) -> None:
    assert api.get("stats/?source=a%00b").status_code in (200, 400, 422)
