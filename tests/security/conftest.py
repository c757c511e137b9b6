from collections.abc import Iterator

import pytest
from django.conf import settings
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from core import redis
from preferences.models import Recipient
from tests import factories
from tests.api import Api
from tests.security.wire import Web


@pytest.fixture
def person(transactional_db: None) -> Recipient:
    return factories.recipient("ada", devices=0)


@pytest.fixture
def stranger(transactional_db: None) -> Recipient:
    return factories.recipient("eve", devices=0)


@pytest.fixture
def api(db: None) -> Api:
    return Api()


@pytest.fixture
def no_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client whose server does not exist."""
    nowhere = Redis(host="127.0.0.1", port=1, socket_connect_timeout=0.25, retry=Retry(NoBackoff(), 0))
    monkeypatch.setattr(redis, "client", lambda: nowhere)


@pytest.fixture
def web(process_env: dict[str, str]) -> Iterator[Web]:
    """The web process; it sees this test's rows, and its Redis keys once `REDIS_PREFIX` is the same."""
    # DEMO serves static files without collecting them first, and the pages for errors need those.
    server = Web({**process_env, "REDIS_PREFIX": settings.REDIS_PREFIX, "DEMO": "1"})
    yield server
    server.stop()
