"""The way to Redis when nobody is at the other end."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, ReadOnlyError

from config.embedded import no_retry
from core import redis


@pytest.fixture(autouse=True)
def _own_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this process thinks of Redis is this test's alone."""
    monkeypatch.setattr(redis, "_reach", redis._Reach())


@pytest.fixture
def hung() -> Iterator[int]:
    """The port of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as server:
        yield server.getsockname()[1]


def to(port: int) -> Redis:
    pool = redis.PausingPool.from_url(
        f"redis://127.0.0.1:{port}/0", socket_timeout=0.25, socket_connect_timeout=0.25, retry=no_retry()
    )
    return Redis(connection_pool=pool)


def test_a_server_that_hangs_costs_one_time_out_and_is_then_left_alone(hung: int) -> None:
    began = time.monotonic()
    for _ in range(20):
        with pytest.raises(redis.RedisError):
            to(hung).get("x")
    assert time.monotonic() - began < 0.9
    assert redis.away()


def test_no_other_use_of_the_process_waits_for_it_either(hung: int) -> None:
    with pytest.raises(redis.RedisError):
        to(hung).get("x")

    began = time.monotonic()
    with pytest.raises(redis.RedisError):
        to(hung).mget(["a", "b"])
    with pytest.raises(redis.RedisError):
        redis.client().get("the cache and the sessions go the same way")
    assert time.monotonic() - began < 0.1


def test_it_is_asked_again_after_a_second_and_is_back_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis, "PAUSE_SECONDS", 0.05)
    with pytest.raises(redis.RedisError):
        to(1).get("x")  # nobody listens there
    assert redis.away()

    time.sleep(0.06)
    redis.client().get("x")

    assert not redis.away()


def test_an_error_that_redis_itself_answers_is_no_reason_to_leave_it_alone() -> None:
    client = redis.client()
    client.set(redis.key("text"), "a")
    with pytest.raises(redis.RedisError):
        client.incr(redis.key("text"))
    assert not redis.away()
    assert client.get(redis.key("text")) == b"a"


def test_a_connection_that_dies_in_use_is_noticed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def close_at_once() -> None:
            connection, _ = server.accept()
            connection.recv(100)
            connection.close()

        threading.Thread(target=close_at_once, daemon=True).start()
        with pytest.raises(redis.RedisError):
            to(server.getsockname()[1]).get("x")
    assert redis.away()


def test_it_is_writable_when_it_takes_writes() -> None:
    assert redis.writable()


REFUSALS = [ReadOnlyError("a replica"), OutOfMemoryError("maxmemory"), RedisConnectionError("gone")]


@pytest.mark.parametrize("error", REFUSALS)
def test_a_redis_that_takes_no_writes_is_not_writable(error: redis.RedisError, monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing:
        def set(self, *_: object, **__: object) -> None:
            raise error

    with monkeypatch.context() as patch:
        patch.setattr(redis, "client", Refusing)
        assert not redis.writable()
        assert not redis.writable()
    redis._reach.tried_at = float("-inf")  # a second later
    assert redis.writable()
