"""Fixtures every test may use: real PostgreSQL, Redis and RabbitMQ, isolated by name.

PostgreSQL: pytest-django's `db`, `transactional_db`. Redis: every test has a key prefix of its own, automatically.
RabbitMQ: ask for `broker_url`. Processes of their own: pass `process_env` as their environment. A browser: ask for
`chromium`, the path of its program.
"""

import itertools
import os
from collections.abc import Iterator
from typing import NoReturn
from urllib.parse import quote

import hypothesis
import pika
import pytest
from django.conf import settings
from django.db import connection

from analytics.webhooks.known import known
from core import redis
from notifications.providers.simulated_state import states
from notifications.services.events_lane import lane_gauge
from notifications.services.limits import limit_cache
from notifications.services.overload import outbox_gauge
from notifications.services.templates import catalogue
from preferences.services.service import category_cache
from tests.servers import chromium_program

_tests = itertools.count(1)

# How fast examples are made says how busy the machine is, and nothing about what they test.
hypothesis.settings.register_profile("carillon", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("carillon")


def unavailable(sentence: str) -> NoReturn:
    """Skip with a sentence on a developer's machine; fail in CI, where the server is part of the promise."""
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        pytest.fail(sentence)
    pytest.skip(sentence)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """A test whose connection was cut is one failure, and not that of all who come after it."""
    raw = connection.connection
    if raw is not None and raw.closed:
        connection.connection = None
        connection.in_atomic_block = False
        connection.savepoint_ids, connection.atomic_blocks = [], []
        connection.needs_rollback = connection.closed_in_transaction = False


@pytest.fixture(scope="session", autouse=True)
def _forget_redis() -> Iterator[None]:
    """Remove this run's keys at the end."""
    prefix = settings.REDIS_PREFIX
    yield
    try:
        client = redis.client()
        found: list[bytes] = []
        for name in client.scan_iter(match=f"{prefix}*", count=10_000):
            found.append(name)
            if len(found) == 1000:
                client.unlink(*found)
                found.clear()
        if found:
            client.unlink(*found)
    except redis.RedisError:
        pass  # gone, and its keys with it


@pytest.fixture(autouse=True)
def _own_connection_options() -> Iterator[None]:
    """A command that runs inside a test may say how it wants its plans (`look_up_by_key`): the next starts anew."""
    options = connection.settings_dict["OPTIONS"]
    before = dict(options)
    yield
    if options != before:
        options.clear()
        options.update(before)
        connection.close_pool()  # type: ignore[attr-defined]  # of PostgreSQL's backend


@pytest.fixture(autouse=True)
def _own_redis_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees another's keys: a new prefix each."""
    prefix = f"{settings.REDIS_PREFIX}.{next(_tests)}"
    monkeypatch.setattr(settings, "REDIS_PREFIX", prefix)
    monkeypatch.setenv("REDIS_PREFIX", prefix)


@pytest.fixture(autouse=True)
def _empty_process_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test's rows left in this process is not true for the next, nor that it lost its Redis."""
    monkeypatch.setattr(redis, "_reach", redis._Reach())
    catalogue.clear()
    category_cache.forget()
    limit_cache.forget()
    outbox_gauge.forget()
    lane_gauge.forget()
    states.forget()
    known.assume_nobody()


@pytest.fixture(scope="session")
def broker_url() -> str:
    """The address of a RabbitMQ that answers."""
    url: str = settings.TEST_BROKER_URL
    if not url:
        unavailable("No RabbitMQ was found or could be started. Install rabbitmq-server, or set BROKER_URL.")
    parameters = pika.URLParameters(url)
    parameters.socket_timeout = parameters.stack_timeout = parameters.blocked_connection_timeout = 5
    try:
        pika.BlockingConnection(parameters).close()
    except (pika.exceptions.AMQPError, OSError) as error:
        unavailable(
            f"No RabbitMQ answers at {parameters.host}:{parameters.port} ({type(error).__name__})."
            " Start one, or set BROKER_URL."
        )
    return url


@pytest.fixture(scope="session")
def chromium() -> str:
    """Where the browser is."""
    if program := chromium_program():
        return program
    unavailable("No Chromium is installed. On Debian, as root, bin/test --browser installs it.")


@pytest.fixture
def process_env(transactional_db: None) -> dict[str, str]:
    """The environment for a `manage.py` of its own on this test's servers: same database, prefixes and secrets.

    Production settings; the database transport unless the test adds BROKER_URL.
    """
    return environment_of_a_process()


def environment_of_a_process() -> dict[str, str]:
    database = connection.settings_dict
    user = quote(database["USER"], safe="") + (
        f":{quote(database['PASSWORD'], safe='')}" if database["PASSWORD"] else ""
    )
    directory = database["OPTIONS"].get("host", "")  # of a Unix socket
    host = "" if directory else f"{database['HOST'] or '127.0.0.1'}:{database['PORT'] or 5432}"
    query = f"?host={quote(directory)}" if directory else ""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DATABASE_URL": f"postgres://{user}@{host}/{database['NAME']}{query}",
        "REDIS_URL": settings.REDIS_URL,
        "REDIS_PREFIX": settings.REDIS_PREFIX,
        "BROKER_URL": "",
        "BROKER_PREFIX": settings.BROKER_PREFIX,
        "SECRET_KEY": settings.SECRET_KEY,
        "HTTPS": "0",
    }
