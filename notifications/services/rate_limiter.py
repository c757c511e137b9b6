"""RateLimiter: how much may go now, and when the rest.

Limits are RateLimit rows; whoever has none is unlimited and costs no call of Redis. Counted in Redis, by its clock, in
one round trip for a whole batch. After Redis was flushed or came back empty, counting starts anew.
"""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import structlog
from django.conf import settings

from core import redis
from core.ids import Key
from notifications.choices import Priority
from notifications.models.limits import LimitScope
from notifications.services import limit_scripts
from notifications.services.limit_scripts import Script
from notifications.services.limit_windows import LONGEST_WAIT, Frame, Mode, Windows, frame, lowest
from notifications.services.limits import Limit, Limits, limit_cache

log = structlog.get_logger(__name__)

#: A provider is called a little after its limit was asked: a call that starts within this time of the asking is inside
#: the limit, since the window counts that much longer than it has to. Whoever took longer asks again. A quarter of a
#: second is what a call to a hung Redis costs; it costs a limit per second a fifth of its number, per minute 0.4 %.
LIMIT_SLACK_SECONDS = 0.25
#: One place in ten of a provider's window is left to critical messages, so that no backlog stands in their way.
RESERVE = 10
WARN_EVERY_SECONDS = 60.0

#: Shared by every RateLimiter of the process: what it counts while Redis is away.
_windows = Windows()


class _Warned:
    at = float("-inf")


def _warn(error: redis.RedisError) -> None:
    """Once a minute: every batch and every request would tell the same."""
    if time.monotonic() - _Warned.at >= WARN_EVERY_SECONDS:
        _Warned.at = time.monotonic()
        log.warning("limits_without_redis", error=type(error).__name__, reason=str(error)[:200])


class Allowance(NamedTuple):
    """Of what was asked, `granted` may go now; the rest not before `wait` seconds (0.0 when all were granted), and then
    about `per_second` a second (0.0: no limit)."""

    granted: int
    wait: float = 0.0
    per_second: float = 0.0


class RecipientAsk(NamedTuple):
    """May this notification go to this person? `category` is a slug."""

    recipient_id: Key
    category: str
    notification_id: Key


class Had(NamedTuple):
    """Of a person's limit: `used` count in its window now, and one more has room in `wait` seconds (0.0: at once).
    `target` is a category's slug, or empty for all of them together."""

    target: str
    limit: Limit
    used: int
    wait: float


class KeyAllowance(NamedTuple):
    """`limit` 0: the key has none. `reset` (until all of it is free again) and `retry_after` in seconds; the latter is
    infinite when more was asked than the limit will ever allow at once."""

    allowed: bool
    limit: int = 0
    remaining: int = 0
    reset: float = 0.0
    retry_after: float = 0.0


class RateLimiter:
    """Limits of recipients, API keys and providers. Never raises for Redis. `clock` (microseconds) is for tests; else
    the time is the Redis server's. One that is `looking` answers about persons and providers what it would, and leaves
    no trace: nothing is used up, and nobody stands in a line."""

    def __init__(self, clock: Callable[[], int] | None = None, *, looking: bool = False) -> None:
        self._clock = clock
        self._looking = looking

    def provider(self, name: str, n: int, *, priority: str) -> Allowance:
        """Ask for n messages to a provider: its own limit and the global one, both.

        In any sliding window no more than the limit is granted. Without Redis each process grants its share
        (1 / settings.RATE_LIMIT_PROCESSES, at least 1): sending goes on, and never without a limit.
        """
        return self._provider(name, n, priority, Mode.USE)

    def room(self, name: str, n: int, *, priority: str) -> Allowance:
        """The same without using anything up: for how many of n it is worth asking now. The rest is in the line."""
        return self._provider(name, n, priority, Mode.ROOM)

    def _provider(self, name: str, n: int, priority: str, mode: Mode) -> Allowance:
        limits = limit_cache.all()
        asked = [(LimitScope.PROVIDER, name), (LimitScope.GLOBAL, "")]
        found = {which: limit for which in asked if (limit := limits.get(which))}
        if not found or n <= 0:
            return Allowance(max(n, 0))
        frames = _named((*which, _provider_frame(limit.max, limit.seconds, priority)) for which, limit in found.items())
        line = f"line:{priority}"
        script, mode = (limit_scripts.PROVIDER_LOOK, Mode.LOOK) if self._looking else (limit_scripts.PROVIDER, mode)
        args = [n, line, LONGEST_WAIT, int(mode), *(part for one in frames.values() for part in one)]
        answer = self._run(script, list(frames), args)
        if answer is None:
            frames = _named(
                (*which, _provider_frame(_share(limit.max), limit.seconds, priority)) for which, limit in found.items()
            )
            answer = _windows.provider(frames, n, line, self._local_now(), mode)
        elif mode == Mode.USE:
            _windows.note(frames, answer[0], self._local_now())
        granted, *waits = answer
        return Allowance(granted, max(0, *waits) / 1_000_000, lowest(waits, list(frames.values())))

    def limits_people(self) -> bool:
        """Whether any limit is on what a person may get. If none is, there is nothing to ask `recipients`."""
        return any(scope == LimitScope.RECIPIENT for scope, _ in limit_cache.all())

    def recipients(self, asks: Sequence[RecipientAsk]) -> list[bool | None]:
        """Per ask, whether the person may get it: by the limit of its category and by the overall one.

        Exact: a person's notifications are remembered one by one, so the same one on another channel or in a retry
        counts once, and a refused one not at all. None when Redis is away and cannot tell: the caller lets go on what
        people wait for, and keeps marketing.
        """
        limits = limit_cache.all()
        batch = _Asks(limits)
        told = [batch.add(ask) for ask in asks]
        if not batch.logs:
            return [True] * len(asks)
        script = limit_scripts.RECIPIENTS_LOOK if self._looking else limit_scripts.RECIPIENTS
        answer = self._run(script, list(batch.logs), [*batch.bounds, *batch.lines])
        verdicts = iter(answer) if answer is not None else None
        return [True if free else None if verdicts is None else bool(next(verdicts)) for free in told]

    def api_key(self, prefix: str, n: int = 1, *, counted: int = 0) -> KeyAllowance:
        """Ask for n calls with an API key, all or none; the limit is that of the key, else the one of every key.

        `counted` of the n were counted by an earlier ask for the same call; a refusal gives them back. Without Redis
        each process allows its share, as for providers.
        """
        limits = limit_cache.all()
        limit = limits.get((LimitScope.API_KEY, prefix)) or limits.get((LimitScope.API_KEY, ""))
        if limit is None:
            return KeyAllowance(allowed=True)
        if n > limit.max:
            return KeyAllowance(False, limit.max, 0, 0.0, math.inf)
        whole = frame(limit.max, limit.seconds)
        key = _window(LimitScope.API_KEY, prefix, whole)
        answer = self._run(limit_scripts.API_KEY, [key], [n, counted, *whole])
        if answer is None:
            share = frame(_share(limit.max), limit.seconds)
            answer = _windows.api_key(key, share, n, counted, self._local_now())
        elif answer[0]:
            _windows.note({key: whole}, n - counted, self._local_now())
        allowed, remaining, reset, retry = answer
        return KeyAllowance(bool(allowed), limit.max, remaining, reset / 1_000_000, retry / 1_000_000)

    def used(self, limits: Mapping[tuple[str, str], Limit]) -> dict[tuple[str, str], int] | None:
        """How much of its present window each of these limits (of providers, of API keys by prefix, or the global one)
        has given; None when Redis is away."""
        if not limits:
            return {}
        keys: list[str] = []
        args: list[int] = []
        for (scope, target), limit in limits.items():
            slack = 0.0 if scope == LimitScope.API_KEY else LIMIT_SLACK_SECONDS
            one = frame(limit.max, limit.seconds, slack=slack)
            keys.append(_window(scope, target, one))
            args += [one.span, one.width]
        answer = self._run(limit_scripts.USED, keys, args)
        return None if answer is None else dict(zip(limits, answer, strict=True))

    def had(self, recipient_id: Key, category: str) -> list[Had] | None:
        """What this person had of the limits that concern a category (a slug): of its own and of the overall one.
        Uses nothing up. None when Redis is away."""
        limits = limit_cache.all()
        found = [(t, limit) for t in (category, "") if (limit := limits.get((LimitScope.RECIPIENT, t)))]
        keys = [_log(recipient_id, target) for target, _ in found]
        args = [part for _, limit in found for part in (limit.max, limit.seconds * 1_000_000)]
        answer = self._run(limit_scripts.LOGS, keys, args) if found else []
        if answer is None:
            return None
        pairs = zip(answer[::2], answer[1::2], strict=True)
        return [Had(*one, used, wait / 1_000_000) for one, (used, wait) in zip(found, pairs, strict=True)]

    @property
    def is_looking(self) -> bool:
        return self._looking

    def run(self, script: Script, keys: Sequence[str], args: Sequence[object]) -> Any:
        """What a script of `limit_scripts` answers, by this limiter's clock, or None when Redis is away."""
        return self._run(script, keys, args)

    def _run(self, script: Script, keys: Sequence[str], args: Sequence[object]) -> Any:
        """What the script answers, or None when Redis is away."""
        try:
            return script(redis.client(), keys, [self._clock() if self._clock else "", *args])
        except redis.RedisError as error:  # away, full, read-only
            _warn(error)
            return None

    def _local_now(self) -> int:
        return self._clock() if self._clock else time.monotonic_ns() // 1000


class _Asks:
    """A batch of asks as the script reads it: each log once, and per ask the numbers of its two logs."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.logs: dict[str, int] = {}
        self.bounds: list[int] = []
        self.lines: list[object] = []

    def add(self, ask: RecipientAsk) -> bool:
        """Whether no limit concerns it."""
        numbers = [self._log(ask.recipient_id, target) for target in (ask.category, "")]
        if not any(numbers):
            return True
        self.lines += [ask.notification_id.hex(), *numbers]
        return False

    def _log(self, recipient: Key, target: str) -> int:
        limit = self._limits.get((LimitScope.RECIPIENT, target))
        if limit is None:
            return 0
        key = _log(recipient, target)
        if key not in self.logs:
            self.logs[key] = len(self.logs) + 1
            self.bounds += [limit.max, limit.seconds * 1_000_000]
        return self.logs[key]


def _log(recipient: Key, target: str) -> str:
    """The key of what a person was sent."""
    return redis.key("limit", "recipient", recipient.hex(), target)


def _window(scope: str, target: str, one: Frame) -> str:
    """The key of a window. Buckets of another width are other windows: a changed span counts anew."""
    return redis.key("limit", scope, target, one.width)


def _named(frames: Iterable[tuple[str, str, Frame]]) -> dict[str, Frame]:
    return {_window(scope, target, one): one for scope, target, one in frames}


def _provider_frame(max: int, seconds: int, priority: str) -> Frame:
    cap = max if priority == Priority.CRITICAL else max - max // RESERVE
    return frame(cap, seconds, slack=LIMIT_SLACK_SECONDS)


def _share(max: int) -> int:
    """What this process may do by itself, with as many others as settings.RATE_LIMIT_PROCESSES supposes."""
    return 1 if max < settings.RATE_LIMIT_PROCESSES else max // int(settings.RATE_LIMIT_PROCESSES)
