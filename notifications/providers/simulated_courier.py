"""Carries the reports of simulated vendors to where real ones send theirs: /webhooks/<provider>/, over HTTP.

A report is kept until it was answered with 2xx, as a vendor keeps it, and so may be delivered twice. It goes signed and
in batches. The courier is a thread of `run_events` and has nothing to do with applying what comes in.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

import aiohttp
import msgspec
import structlog
from django.conf import settings
from django.db import connection

from core import standard_webhooks
from core.ids import uuid7
from core.rounds import Stop, repeat
from notifications import registry
from notifications.choices import EventType
from notifications.messaging.backoff import full_jitter
from notifications.providers import simulated_reports as reports
from notifications.providers.simulated_reports import Due
from notifications.receivers import simulated

log = structlog.get_logger(__name__)

#: Reports in one webhook, and in one round: what a round carries is delivered in about a tenth of a second.
BATCH, ROUND = 500, 4_000
#: One webhook, from the connection to the answer. Well within the lease of its reports.
TIMEOUT_SECONDS = 10.0
#: Of the backoff after a webhook that was not taken.
PAUSE_BASE_SECONDS, PAUSE_CAP_SECONDS = 0.25, 15.0

#: What a vendor adds to its report, for the timeline.
_REASONS = {
    EventType.BOUNCED: "Simulated: 550 5.1.1, there is no such mailbox.",
    EventType.COMPLAINED: "Simulated: the recipient marked it as spam.",
}


class Parcel(NamedTuple):
    """One webhook: where to, what, and the reports in it."""

    provider: str
    headers: Mapping[str, str]
    body: bytes
    reports: Sequence[Due]

    @property
    def path(self) -> str:
        return f"/webhooks/{self.provider}/"


#: Delivers parcels and says how each was answered: an HTTP status, or 0 when nobody answered.
Carry = Callable[[Sequence[Parcel]], Sequence[int]]


def has_work() -> bool:
    """Whether any provider's webhooks come from a simulated vendor."""
    return any(isinstance(registry.receiver(name), simulated.SimulatedReceiver) for name in settings.PROVIDERS)


class Courier:
    """Rounds of due reports. One that was refused comes again later, with a word in the log at the first time."""

    def __init__(self, carry: Carry) -> None:
        self._carry = carry
        self._failures: Counter[str] = Counter()  # in a row, by provider
        self._rests_until = 0.0

    def step(self) -> bool:
        """One round; whether it was full. Does nothing for a while after one of which nothing was taken."""
        if time.monotonic() < self._rests_until:
            return False
        due = reports.hand_out(ROUND)
        parcels = [_pack(provider, part) for provider, part in _batches(due)]
        answers = list(zip(parcels, self._carry(parcels) if parcels else (), strict=True))
        reports.settle(report for parcel, status in answers if _is_taken(status) for report in parcel.reports)
        for parcel, status in answers:
            self._note(parcel.provider, status)
            if not _is_taken(status):
                reports.put_off(parcel.reports, seconds=_pause(self._failures[parcel.provider]))
        if answers and not any(_is_taken(status) for _, status in answers):
            self._rests_until = time.monotonic() + _pause(min(self._failures.values()))
            return False
        return len(due) == ROUND

    def _note(self, provider: str, status: int) -> None:
        if _is_taken(status):
            if self._failures.pop(provider, 0):
                log.warning("simulator.webhooks_taken_again", provider=provider)
            return
        self._failures[provider] += 1
        if self._failures[provider] == 1:
            log.warning("simulator.webhook_not_taken", provider=provider, status=status)


def run(url: str, stop: Stop) -> None:
    """Carry reports to `url` until a stop is asked for; the body of a thread."""
    with HttpCarrier(url) as carry:
        courier = Courier(carry)
        try:
            repeat("courier", courier.step, stop, idle=lambda: settings.EVENTS_POLL_SECONDS, pause=_pause)
        finally:
            connection.close()


def _is_taken(status: int) -> bool:
    return 200 <= status < 300


def _pause(failures: int) -> float:
    return full_jitter(failures, base=PAUSE_BASE_SECONDS, cap=PAUSE_CAP_SECONDS)


def _batches(due: Sequence[Due]) -> Iterator[tuple[str, Sequence[Due]]]:
    by_provider: dict[str, list[Due]] = {}
    for report in due:
        by_provider.setdefault(report.provider, []).append(report)
    for provider, all_of_it in by_provider.items():
        for start in range(0, len(all_of_it), BATCH):
            yield provider, all_of_it[start : start + BATCH]


def _pack(provider: str, due: Sequence[Due]) -> Parcel:
    events = [_event(report) for report in due]
    body = msgspec.json.encode(simulated.Webhook(events))
    secret = simulated.secret(provider, settings.SECRET_KEY)
    headers = standard_webhooks.sign([secret], id=f"msg_{uuid7().hex}", timestamp=int(time.time()), body=body)
    return Parcel(provider, headers, body, due)


def _event(report: Due) -> simulated.Event:
    message, word = f"{simulated.MESSAGE_PREFIX}{report.delivery_id.hex}", simulated.WORDS[report.type]
    return simulated.Event(f"{message}-{word}", word, message, _REASONS.get(report.type, ""))


class HttpCarrier:
    """Posts the parcels of a round together, over connections that are kept. For one thread.

    `url` is where the web process is reached; who it is asked for is PUBLIC_URL's host, by PUBLIC_URL's scheme, so that
    an address inside a cluster serves although only the public one is allowed.
    """

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._runner = asyncio.Runner()
        self._session: aiohttp.ClientSession | None = None

    def __enter__(self) -> "HttpCarrier":
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._session is not None:
            self._runner.run(self._session.close())
        self._runner.close()

    def __call__(self, parcels: Sequence[Parcel]) -> Sequence[int]:
        return self._runner.run(self._post_all(parcels))

    async def _post_all(self, parcels: Sequence[Parcel]) -> list[int]:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS),
                connector=aiohttp.TCPConnector(limit=4),
                headers=_public(self._url),
            )
        return await asyncio.gather(*(self._post(self._session, parcel) for parcel in parcels))

    async def _post(self, session: aiohttp.ClientSession, parcel: Parcel) -> int:
        headers = {**parcel.headers, "Content-Type": "application/json"}
        try:
            async with session.post(
                self._url + parcel.path, data=parcel.body, headers=headers, allow_redirects=False
            ) as answer:
                return answer.status
        except (aiohttp.ClientError, TimeoutError, OSError):
            return 0


def _public(url: str) -> dict[str, str]:
    """What a proxy in front of the web process would say."""
    public = urlsplit(settings.PUBLIC_URL)
    headers = {"Host": public.netloc, "User-Agent": "Carillon-Simulator"}
    if public.scheme == "https" and not url.startswith("https:"):
        headers["X-Forwarded-Proto"] = "https"
    return headers
