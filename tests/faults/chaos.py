"""Random faults by a seed: what is broken, when and for how long."""

import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import psycopg
from redis import RedisError

from tests.faults.conftest import Servers
from tests.faults.service import Service
from tests.faults.stack import Stack

_SIMULATED = [f"simulated_{channel}{spare}" for channel in ("email", "sms", "push") for spare in ("", "_backup")]
_MOODS = [
    '{"outage": true}',
    '{"latency_ms": 1500}',
    '{"latency_ms": 20000}',  # beyond every time-out: outcomes nobody knows
    '{"throttle_rate": 0.5, "throttle_seconds": 1}',
    '{"throttle_rate": 1, "throttle_retry_after": "soon"}',
    '{"temporary_rate": 0.5}',
    '{"invalid_rate": 0.02}',
]


class Chaos:
    """One fault of a server or provider at a time, and processes that die in the middle of it."""

    def __init__(self, own: Servers, stack: Stack, service: Service, chance: random.Random) -> None:
        self.own, self.stack, self.service, self.chance = own, stack, service, chance
        self.database = stack.database_url.rpartition("/")[2]
        self.injected: Counter[str] = Counter()
        self._faults: dict[str, Callable[[], Callable[[], None]]] = {
            "broker_killed": lambda: self._down(own.rabbit.kill, own.rabbit.start),
            "broker_frozen": lambda: self._down(own.rabbit.freeze, own.rabbit.thaw),
            "broker_cut": lambda: self._down(own.proxies["rabbit"].cut, _nothing),
            "broker_unreachable": lambda: self._down(own.proxies["rabbit"].refuse, own.proxies["rabbit"].heal),
            "broker_silent": lambda: self._down(own.proxies["rabbit"].hold, own.proxies["rabbit"].heal),
            "broker_memory_alarm": self._memory_alarm,
            "postgresql_killed": lambda: self._down(own.postgres.kill, own.postgres.start),
            "postgresql_terminated": lambda: self._down(self._terminate, _nothing),
            "postgresql_cut": lambda: self._down(own.proxies["postgres"].cut, _nothing),
            "postgresql_read_only": self._read_only,
            "redis_flushed": lambda: self._down(self._flush, _nothing),
            "redis_killed": lambda: self._down(own.redis.kill, own.redis.start),
            "redis_frozen": lambda: self._down(own.redis.freeze, own.redis.thaw),
            "redis_full": self._full_redis,
            "provider": self._mood,
            "calm": lambda: self._down(_nothing, _nothing),
        }

    def run(self, seconds: float) -> None:
        """Until the time is up. Every server fault comes at least once if there is time; their order is the seed's."""
        deadline = time.monotonic() + seconds
        while True:
            order = list(self._faults)
            self.chance.shuffle(order)
            for name in order:
                if time.monotonic() > deadline:
                    return
                self._one(name)

    def _one(self, name: str) -> None:
        self.injected[name] += 1
        heal = self._faults[name]()
        try:
            time.sleep(self.chance.uniform(0.3, 2.0))
            if self.chance.random() < 0.85:
                victim = self.chance.choice(self.service.names + self.service.workers)
                self.injected[f"killed_{victim}"] += 1
                self.service.kill(victim)
                time.sleep(self.chance.uniform(0.1, 1.0))
        finally:
            heal()
        with suppress(psycopg.Error):
            self.service.count()
        time.sleep(self.chance.uniform(0.5, 1.5))

    def _down(self, fault: Callable[[], None], heal: Callable[[], None]) -> Callable[[], None]:
        fault()
        return heal

    def _memory_alarm(self) -> Callable[[], None]:
        self.own.rabbit.control("set_vm_memory_high_watermark", "0.0001")

        def heal() -> None:
            self.own.rabbit.control("set_vm_memory_high_watermark", "0.4")

        return heal

    def _terminate(self) -> None:
        self.own.postgres.terminate_connections(self.database)

    def _read_only(self) -> Callable[[], None]:
        setting = "default_transaction_read_only"
        self.own.postgres.do(f"ALTER DATABASE {self.database} SET {setting} = on")
        self._terminate()

        def heal() -> None:
            self.own.postgres.do(f"ALTER DATABASE {self.database} RESET {setting}")
            self._terminate()

        return heal

    def _flush(self) -> None:
        self.own.redis.client().flushall()

    def _full_redis(self) -> Callable[[], None]:
        with suppress(RedisError):
            self.own.redis.client().config_set("maxmemory-policy", "noeviction")
        self.own.redis.client().config_set("maxmemory", "1")

        def heal() -> None:
            self.own.redis.client().config_set("maxmemory", "0")

        return heal

    def _mood(self) -> Callable[[], None]:
        """A provider misbehaves, in its own state on PostgreSQL, and does so for a while after this fault is over."""
        provider, mood = self.chance.choice(_SIMULATED), self.chance.choice(_MOODS)
        with suppress(psycopg.Error):
            self.stack.query(
                "INSERT INTO notifications_sandboxstate (provider, options, by) VALUES (%s, %s, 'chaos')"
                " ON CONFLICT (provider) DO UPDATE SET options = excluded.options",
                provider,
                mood,
            )
        if self.chance.random() < 0.5:
            return _nothing
        return self.calm_providers

    def calm_providers(self) -> None:
        self.stack.patient("DELETE FROM notifications_sandboxstate")


def _nothing() -> None:
    pass
