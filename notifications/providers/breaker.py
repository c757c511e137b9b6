"""The circuit breaker: circuits and pauses of providers, shared by all workers through Redis.

Every operation is one round trip; a change is one Lua call by Redis' own clock, so that nobody sees half of it and no
worker's clock matters. Without Redis each process judges on its own, from what it sees itself and starting closed: a
bad provider is found out by each process for itself, and each lets a probe through. When Redis answers again, and takes
writes, its state holds, and what the process had thought meanwhile is forgotten. An emptied Redis means closed circuits
without pauses: a provider that is still down opens its own again within BREAKER_MIN_CALLS messages.
"""

import random
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import structlog

from core import redis
from notifications.providers import circuit as pure
from notifications.providers.circuit import Answer, Circuit, Report, Rules, Tally
from notifications.services.limit_scripts import Script

log = structlog.get_logger(__name__)

_SCRIPT = Script(Path(__file__).with_name("circuit.lua").read_text())
#: What the script's texts stand for, where that is not a float.
_READ: Mapping[str, Callable[[str], object]] = {
    "is_open": lambda text: text == "1",
    "probe": str, "why": str,
    "streak": int, "bad": int, "of": int,
}  # fmt: skip
_FIELDS = tuple(one.name for one in fields(Circuit) if one.name != "tallies")


class Shared(NamedTuple):
    """Circuits by provider, as Redis had them `now` seconds after the epoch by its clock."""

    now: float
    circuits: Mapping[str, Circuit]


class Breaker:
    """Circuits by provider name. Safe to use from several threads. `clock` (seconds) and `spread` (jitter from 0 to 1)
    are for tests: by default the time is Redis' own."""

    def __init__(
        self, *, clock: Callable[[], float] | None = None, spread: Callable[[], float] = random.random
    ) -> None:
        self._clock = clock
        self._spread = spread
        self._alone: dict[str, Circuit] = {}
        self._lock = threading.Lock()

    def ask(self, provider: str) -> Answer:
        """May it be asked? A closed circuit says yes, a half-open one to one message at a time. Never raises for
        Redis."""
        token = secrets.token_hex(8)
        try:
            reason, wait, probe = self._run("ask", provider, token)
        except redis.RedisError:
            with self._lock:
                now, known = self._own(provider)
                after, answer = pure.ask(known, now, Rules.of_settings(), token)
                self._think(provider, known, after)
            return answer
        return Answer(reason.decode(), float(wait), probe.decode())

    def report(self, provider: str, said: Report) -> None:
        """Tell how a call went, or, with a probe's token and no counts, that it was not made. Never raises for
        Redis."""
        spread = self._spread()
        given = (said.answered, said.failed, said.seconds, said.pause, said.probe, spread)
        try:
            self._run("report", provider, *given)
        except redis.RedisError:
            with self._lock:
                now, known = self._own(provider)
                self._think(provider, known, pure.report(known, now, Rules.of_settings(), said, spread))

    def waits(self, providers: Sequence[str]) -> list[float]:
        """Seconds until each is worth asking, 0.0 for now. Changes nothing; one round trip. Never raises for Redis."""
        rules = Rules.of_settings()
        try:
            now, circuits = self.read(providers, with_tallies=False)
        except redis.RedisError:
            with self._lock:
                own = [self._own(name) for name in providers]
            return [pure.wait_of(pure.settle(known, now, rules), now) for now, known in own]
        return [pure.wait_of(circuits[name], now) for name in providers]

    def look(self, provider: str) -> Answer:
        """What `ask` would say. Changes nothing: a probe it would let through stays to be had. Never raises for
        Redis."""
        try:
            now, circuits = self.read([provider], with_tallies=False)
            known = circuits[provider]
        except redis.RedisError:
            with self._lock:
                now, known = self._own(provider)
        return pure.ask(known, now, Rules.of_settings(), "a probe")[1]

    def read(self, providers: Sequence[str], *, with_tallies: bool = True) -> Shared:
        """What all workers share, settled to Redis' time; one round trip. Raises RedisError."""
        self._shared()
        with redis.client().pipeline(transaction=False) as pipe:
            pipe.time()
            for name in providers:
                pipe.hgetall(_key(name))
                if with_tallies:
                    pipe.hgetall(_tallies_key(name))
            (seconds, micros), *found = pipe.execute()
        now = self._clock() if self._clock else seconds + micros / 1e6
        heads, tallies = (found[::2], found[1::2]) if with_tallies else (found, [{}] * len(found))
        rules = Rules.of_settings()
        read = map(_circuit, heads, tallies)
        return Shared(now, {name: pure.settle(one, now, rules) for name, one in zip(providers, read, strict=True)})

    def reset(self, provider: str) -> None:
        """Forget the circuit and the pause; what calls begun before will tell is not counted. Raises RedisError."""
        self._run("reset", provider)

    def _run(self, operation: str, provider: str, *given: object) -> list[bytes]:
        self._shared()
        rules = Rules.of_settings()
        now = "" if self._clock is None else repr(self._clock())
        arguments = [
            operation, now, _keep_ms(rules),
            rules.window, rules.min_calls, rules.failure_rate, rules.slow_rate, rules.slow_seconds,
            rules.open_seconds, rules.open_max, rules.probe_seconds, rules.pause_max, *given,
        ]  # fmt: skip
        answer: list[bytes] = _SCRIPT(redis.client(), [_key(provider), _tallies_key(provider)], arguments)
        event, why, wait, *rest = answer
        if event == b"opened":
            log.warning("breaker.opened", provider=provider, why=why.decode(), seconds=round(float(wait), 1))
        elif event == b"closed":
            log.warning("breaker.closed", provider=provider)
        return rest

    def _own(self, provider: str) -> tuple[float, Circuit]:
        """This process's time and what it thinks of a provider by itself. With the lock held."""
        return (self._clock or time.monotonic)(), self._alone.get(provider, Circuit())

    def _think(self, provider: str, before: Circuit, after: Circuit) -> None:
        self._alone[provider] = after
        if after.streak > before.streak:
            log.warning("breaker.opened", provider=provider, why=after.why, alone=True)
        elif before.is_open and not after.is_open:
            log.warning("breaker.closed", provider=provider, alone=True)

    def _shared(self) -> None:
        """Raises RedisError while this process judges on its own: a Redis that can be read but takes no reports (a
        replica, a full one) would go on saying what it knew before. Once it takes them, its word holds again."""
        if not self._alone:
            return
        if not redis.writable():
            raise redis.RedisError("Redis takes no writes.")
        with self._lock:
            self._alone = {}


class LookingBreaker(Breaker):
    """For a look at what a gate would say: it is never told anything, and takes nobody's probe."""

    def ask(self, provider: str) -> Answer:
        return self.look(provider)

    def report(self, provider: str, said: Report) -> None:
        pass


def _key(provider: str) -> str:
    return redis.key("provider", provider)


def _tallies_key(provider: str) -> str:
    return redis.key("provider", provider, "tallies")


def _keep_ms(rules: Rules) -> int:
    """How long a circuit nobody asks about is remembered: no wait in it can be longer."""
    longest = max(rules.window, rules.open_max, rules.probe_seconds, rules.pause_max)
    return int(longest * 2000)


def _circuit(head: Mapping[bytes, bytes], flat: Mapping[bytes, bytes]) -> Circuit:
    values: dict[str, Any] = {
        name: _READ.get(name, float)(head[name.encode()].decode()) for name in _FIELDS if name.encode() in head
    }
    slots: dict[int, dict[str, int]] = {}
    for where, count in flat.items():
        slot, _, what = where.decode().partition(":")
        slots.setdefault(int(slot), {})[what] = int(count)
    return Circuit(**values, tallies={slot: Tally(**counts) for slot, counts in slots.items()})
