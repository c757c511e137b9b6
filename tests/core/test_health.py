import threading
import time
from collections.abc import Iterator

import pytest
from django.db import connection
from django.test import Client

from core import health, redis
from tests.servers import wait


class DownRedis:
    def ping(self) -> bool:
        raise redis.RedisError("no server")


@pytest.fixture
def unreachable_database(django_db_blocker: pytest.FixtureRequest) -> Iterator[None]:
    """PostgreSQL at a port where nobody listens."""
    good = connection.settings_dict.copy()
    connection.close()
    connection.settings_dict["PORT"] = "1"
    yield
    connection.close()
    connection.settings_dict.update(good)


def test_the_process_is_up_without_asking_anyone() -> None:
    response = Client().get("/healthz")  # no database mark: a query would fail the test

    assert (response.status_code, response.json()) == (200, {"status": "ok"})


@pytest.mark.django_db
def test_ready_when_both_servers_answer() -> None:
    response = Client().get("/readyz")

    assert response.status_code == 200
    assert response.json() == {"status": "ok", "checks": {"postgresql": "ok", "redis": "ok"}}


@pytest.mark.django_db
def test_without_redis_the_process_is_degraded_and_still_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis, "client", DownRedis)

    response = Client().get("/readyz")

    assert response.status_code == 200
    assert response.json() == {"status": "degraded", "checks": {"postgresql": "ok", "redis": "unavailable"}}


@pytest.mark.django_db(transaction=True)
def test_without_postgresql_the_process_is_not_ready(unreachable_database: None) -> None:
    response = Client().get("/readyz")

    assert response.status_code == 503
    assert response.json()["checks"]["postgresql"] == "unavailable"


@pytest.mark.django_db(transaction=True)
def test_a_postgresql_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "ANSWER_SECONDS", 0.2)
    frozen, look = threading.Event(), health._look
    monkeypatch.setattr(health, "_look", lambda answer: frozen.wait(10) and health._looking.release())

    began = time.monotonic()
    for _ in range(10):
        assert Client().get("/readyz").status_code == 503
    assert time.monotonic() - began < 2.0  # four looks are left behind, nobody waits for a fifth

    frozen.set()
    monkeypatch.setattr(health, "_look", look)
    assert wait(lambda: Client().get("/readyz").status_code == 200, 5)
