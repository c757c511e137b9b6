"""Stacks: on the test's own database and the shared servers, or on servers of its own that may be killed."""

import itertools
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.test import override_settings

from notifications import messaging
from tests.faults.flow import Flow
from tests.faults.proxy import Proxy
from tests.faults.seed import seed
from tests.faults.servers import Postgres, Rabbit, RedisServer, Server
from tests.faults.stack import Stack

_numbers = itertools.count(1)


@pytest.fixture
def proxies() -> Iterator[Callable[[str], tuple[Proxy, str]]]:
    """Put a proxy in front of the server of a URL: the proxy, and the URL that leads through it."""
    made: list[Proxy] = []

    def between(url: str) -> tuple[Proxy, str]:
        parts = urlsplit(url)
        made.append(Proxy((parts.hostname or "127.0.0.1", parts.port or 0)))
        return made[-1], url.replace(f"{parts.hostname}:{parts.port}", f"127.0.0.1:{made[-1].port}")

    yield between
    for proxy in made:
        proxy.close()


@pytest.fixture
def stack(process_env: dict[str, str], tmp_path: Path) -> Iterator[Stack]:
    """On the test's database; work goes through PostgreSQL alone. People: `person-0` to `person-19`."""
    made = Stack(tmp_path, process_env)
    with made.connect() as connection:
        seed(connection, 20)
    yield made
    made.close()


@pytest.fixture
def rabbit_stack(stack: Stack, broker_url: str) -> Iterator[Stack]:
    """The same over the shared RabbitMQ, on queues of its own."""
    stack.environment["BROKER_URL"] = broker_url
    broker = {"BROKER_URL": broker_url, "BROKER_PREFIX": stack.environment["BROKER_PREFIX"]}
    with override_settings(**broker):
        messaging.delete_topology()
        yield stack
        stack.close()
        messaging.delete_topology()


@dataclass
class Servers:
    """Servers that may be killed, and the proxies before them."""

    postgres: Postgres
    redis: RedisServer
    rabbit: Rabbit
    proxies: dict[str, Proxy]

    def heal(self) -> None:
        for proxy in self.proxies.values():
            proxy.heal()
        for server in (self.postgres, self.redis, self.rabbit):
            server.heal()


@pytest.fixture(scope="session")
def _own() -> Iterator[Servers]:
    """Started once; what a test does to them is healed before the next."""
    with tempfile.TemporaryDirectory(prefix="carillon-faults-") as folder:
        home = Path(folder)
        home.chmod(0o755)  # PostgreSQL runs as another user
        yield from _serve(home)


def _serve(home: Path) -> Iterator[Servers]:
    made: list[Server] = []
    proxies: dict[str, Proxy] = {}
    try:
        for kind in (Postgres, RedisServer, Rabbit):
            server = kind(home / kind.__name__.lower())
            made.append(server)
            server.start()
            proxies[kind.__name__.lower()] = Proxy(("127.0.0.1", server.port))
        postgres, redis, rabbit = made
        assert isinstance(postgres, Postgres)
        assert isinstance(redis, RedisServer)
        assert isinstance(rabbit, Rabbit)
        servers = Servers(postgres, redis, rabbit, {"redis": proxies["redisserver"], **proxies})
        postgres.do("CREATE DATABASE template")
        migrate = Stack(home, {"DATABASE_URL": postgres.url("template"), "REDIS_URL": redis.url(), "BROKER_URL": ""})
        program = migrate.manage("migrate", "migrate", "--noinput", "--verbosity", "0")
        assert program.ends(120) == 0, program.said()
        yield servers
    finally:
        for proxy in proxies.values():
            proxy.close()
        for server in made:
            server.close()


@pytest.fixture
def own(_own: Servers) -> Servers:
    _own.heal()
    return _own


@pytest.fixture
def own_stack(own: Servers, tmp_path: Path) -> Iterator[Stack]:
    """On servers of its own and through their proxies, over RabbitMQ; a new database and new queues."""
    name = f"carillon_{next(_numbers)}"
    own.postgres.do(f"CREATE DATABASE {name} TEMPLATE template")
    own.redis.client().flushall()
    environment = {
        "DATABASE_URL": own.postgres.url(name, own.proxies["postgres"].port),
        "REDIS_URL": own.redis.url(own.proxies["redis"].port),
        "BROKER_URL": own.rabbit.url(own.proxies["rabbit"].port),
        "BROKER_PREFIX": f"faults.{name}",
        "REDIS_PREFIX": f"faults-{name}",
    }
    made = Stack(tmp_path, environment, own.postgres.url(name))
    with made.connect() as connection:
        seed(connection, 20)
    yield made
    made.close()
    own.heal()
    own.postgres.do(f"DROP DATABASE {name} WITH (FORCE)")
    own.redis.client().flushall()
    with override_settings(BROKER_URL=own.rabbit.url(), BROKER_PREFIX=environment["BROKER_PREFIX"]):
        messaging.delete_topology()


@pytest.fixture
def flow(own_stack: Stack) -> Flow:
    """Web, relay and a worker on servers of its own, and the first three messages sent."""
    _, client = own_stack.api()
    own_stack.relay()
    own_stack.worker()
    client.ready()
    made = Flow(own_stack, client)
    made.post(3)
    own_stack.drain()
    return made
