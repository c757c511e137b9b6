"""Settings that would only fail later, in the middle of the night: said at start, in a sentence, by every command."""

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, transaction

from core.outbound_addresses import networks
from notifications import registry
from notifications.choices import Channel
from notifications.digests import wordings
from notifications.worker import MARGIN_SECONDS
from preferences.quiet_hours import parsed

#: Seconds between a provider's time-out and the end of a lease that a busy machine needs.
LEASE_COMFORT = 30.0
#: Between the time-out of a webhook and the end of a lease: a batch's budget, and time to record it.
WEBHOOK_COMFORT = 15.0
#: What the record's columns take.
PROVIDER_NAME = re.compile(r"[a-z0-9_]{1,32}")

POSITIVE = (
    "DATABASE_POOL_SIZE", "REDIS_TIMEOUT_SECONDS",
    "BROKER_MAX_QUEUE_LENGTH", "BROKER_DELIVERY_LIMIT", "BROKER_CONFIRM_TIMEOUT_SECONDS",
    "RELAY_POLL_SECONDS", "WORKER_POLL_SECONDS", "EVENTS_POLL_SECONDS", "WORKER_THREADS",
    "VISIBILITY_SECONDS", "LEASE_SECONDS", "DRAIN_SECONDS", "PROVIDER_TIMEOUT_SECONDS",
    "BREAKER_WINDOW_SECONDS", "BREAKER_MIN_CALLS", "BREAKER_FAILURE_RATE", "BREAKER_SLOW_RATE",
    "BREAKER_SLOW_SECONDS", "BREAKER_OPEN_SECONDS", "BREAKER_OPEN_MAX_SECONDS",
    "MAX_ATTEMPTS", "RETRY_BASE_SECONDS", "RETRY_CAP_SECONDS", "PREFERENCE_CACHE_SECONDS",
    "RATE_LIMIT_PROCESSES",
    "RECONCILE_AFTER_SECONDS", "RECONCILE_FULL_SECONDS", "PARTITIONS_AHEAD",
    "CAMPAIGN_CHUNK", "CAMPAIGN_POLL_SECONDS", "CAMPAIGN_OUTBOX_LIMIT",
    "WEBHOOK_TIMEOUT_SECONDS", "WEBHOOK_MAX_ATTEMPTS", "WEBHOOK_DISABLE_DAYS",
    "API_MAX_BODY_BYTES", "FEED_TOKEN_SECONDS", "FEED_SOCKETS_PER_RECIPIENT",
)  # fmt: skip
#: 0 has a meaning: for ever, or no limit.
NOT_NEGATIVE = (
    "RETENTION_WEEKS",
    "QUIET_HOURS_SPREAD_SECONDS",
    "FEED_RETENTION_DAYS",
    "COUNTS_RETENTION_DAYS",
    "WEBHOOK_RETENTION_DAYS",
    "DATABASE_STATEMENT_TIMEOUT_MS",
    "OUTBOX_MAX_ROWS",
    "EVENTS_MAX_ROWS",
    "SIMULATOR_KEEP_CALLS",
)


#: Fewer characters of a token can be guessed.
MIN_TOKEN = 16


def check_settings(*, app_configs: Sequence[AppConfig] | None, **options: Any) -> list[CheckMessage]:
    """Everything that is wrong with the pipeline's settings. Times are compared once they are numbers to compare."""
    numbers = list(_numbers())
    return [
        *numbers,
        *([] if numbers else [*_times(), *_breaker()]),
        *_quiet_hours(),
        *_networks(),
        *_metrics(),
        *_providers(),
        *_simulator(),
        *_chains(),
    ]


def _metrics() -> Iterator[CheckMessage]:
    if not 0 <= settings.METRICS_PORT <= 65_535:
        yield Error(f"METRICS_PORT is {settings.METRICS_PORT}; it must be 0 to 65535.", id="notifications.E001")
    if settings.METRICS_TOKEN and len(settings.METRICS_TOKEN) < MIN_TOKEN:
        yield Error(
            f"METRICS_TOKEN has fewer than {MIN_TOKEN} characters.",
            hint="For example from: openssl rand -hex 24",
            id="notifications.E012",
        )


def _numbers() -> Iterator[CheckMessage]:
    for name in POSITIVE:
        if not (getattr(settings, name) > 0 and math.isfinite(getattr(settings, name))):
            yield Error(f"{name} is {getattr(settings, name)}; it must be greater than 0.", id="notifications.E001")
    for name in NOT_NEGATIVE:
        if getattr(settings, name) < 0:
            yield Error(f"{name} is {getattr(settings, name)}; it must be 0 or more.", id="notifications.E001")


def _times() -> Iterator[CheckMessage]:
    timeout, lease = settings.PROVIDER_TIMEOUT_SECONDS, settings.LEASE_SECONDS
    drain, visibility = settings.DRAIN_SECONDS, settings.VISIBILITY_SECONDS
    if timeout >= drain:
        yield Error(
            f"PROVIDER_TIMEOUT_SECONDS ({timeout:g}) must be below DRAIN_SECONDS ({drain:g}).",
            hint="A stop in the middle of a call would end the worker before it could record what became of it, and"
            " the messages would be sent again.",
            id="notifications.E002",
        )
    if lease <= timeout + MARGIN_SECONDS:
        yield Error(
            f"LEASE_SECONDS ({lease:g}) must be more than PROVIDER_TIMEOUT_SECONDS ({timeout:g}) and"
            f" {MARGIN_SECONDS:g} seconds for recording the answer.",
            hint="Another worker would take the messages over while the provider still has them, and send them again.",
            id="notifications.E003",
        )
    elif lease < timeout + LEASE_COMFORT:
        yield Warning(
            f"LEASE_SECONDS ({lease:g}) is less than {LEASE_COMFORT:g} seconds above PROVIDER_TIMEOUT_SECONDS"
            f" ({timeout:g}).",
            hint="On a busy machine a lease may run out before a slow call is recorded; the messages are sent again.",
            id="notifications.W001",
        )
    webhook = settings.WEBHOOK_TIMEOUT_SECONDS
    if webhook >= drain:
        yield Error(
            f"WEBHOOK_TIMEOUT_SECONDS ({webhook:g}) must be below DRAIN_SECONDS ({drain:g}).",
            hint="A stop would end the worker before it could record what an endpoint answered.",
            id="notifications.E012",
        )
    elif lease < webhook + WEBHOOK_COMFORT:
        yield Warning(
            f"LEASE_SECONDS ({lease:g}) is less than {WEBHOOK_COMFORT:g} seconds above WEBHOOK_TIMEOUT_SECONDS"
            f" ({webhook:g}).",
            hint="A lease may run out before a slow endpoint has answered; the message is sent again.",
            id="notifications.W002",
        )
    if visibility <= lease:
        yield Error(
            f"VISIBILITY_SECONDS ({visibility:g}) must be above LEASE_SECONDS ({lease:g}).",
            hint="Work would be handed out again while the worker that has it may still finish.",
            id="notifications.E004",
        )


def _breaker() -> Iterator[CheckMessage]:
    for name in ("BREAKER_FAILURE_RATE", "BREAKER_SLOW_RATE"):
        if getattr(settings, name) > 1:
            yield Error(
                f"{name} is {getattr(settings, name):g}; it is a share of the messages, 1 at most.",
                hint="A circuit could never open. For half of them set 0.5.",
                id="notifications.E008",
            )
    first, longest = settings.BREAKER_OPEN_SECONDS, settings.BREAKER_OPEN_MAX_SECONDS
    if longest < first:
        yield Error(
            f"BREAKER_OPEN_MAX_SECONDS ({longest:g}) must not be below BREAKER_OPEN_SECONDS ({first:g}).",
            hint="An open circuit's time doubles from the one up to the other.",
            id="notifications.E009",
        )


def check_digests(*, databases: Sequence[str] | None = None, **options: Any) -> list[CheckMessage]:
    """Templates of digests, where a database is there to be asked: `migrate`, and `check --database default`."""
    if not databases:
        return []
    try:
        with transaction.atomic():
            found = list(wordings.unfit())
    except DatabaseError:  # before the first migrate there are no tables
        return []
    return [
        Warning(
            f"Digests of the category {slug!r} go out in the built-in wording: {says}",
            hint="Publish the template with words for each channel on which it gathers, or choose another.",
            id="notifications.W010",
        )
        for slug, says in found
    ]


def _quiet_hours() -> Iterator[CheckMessage]:
    if settings.QUIET_HOURS and parsed(settings.QUIET_HOURS) is None:
        yield Error(
            f"QUIET_HOURS is {settings.QUIET_HOURS!r}; it must be two different times of day, or empty.",
            hint="For example 22:00-08:00, in each recipient's time zone.",
            id="notifications.E016",
        )


def _networks() -> Iterator[CheckMessage]:
    try:
        networks(settings.OUTBOUND_ALLOW_PRIVATE)
    except ValueError as error:
        yield Error(
            f"OUTBOUND_ALLOW_PRIVATE cannot be read: {error}.",
            hint="It takes networks and addresses, such as 10.0.0.0/8,192.168.7.20.",
            id="notifications.E011",
        )


def _providers() -> Iterator[CheckMessage]:
    for name in settings.PROVIDERS:
        if not PROVIDER_NAME.fullmatch(name):
            yield Error(
                f"PROVIDERS has a provider {name!r}; a name has 1 to 32 characters of a-z, 0-9 and _.",
                id="notifications.E005",
            )
            continue
        try:
            registry.provider(name)
        except (ImproperlyConfigured, ImportError, KeyError, TypeError) as error:
            yield Error(
                f"The provider {name!r} of PROVIDERS cannot be built: {error}",
                hint="Look at its class and its options; those of the simulated ones are the SIMULATOR_* settings.",
                id="notifications.E010",
            )
        try:
            registry.receiver(name)
        except (ImproperlyConfigured, ImportError, KeyError, TypeError) as error:
            yield Error(
                f"The receiver of the provider {name!r} of PROVIDERS cannot be built: {error}",
                hint="Look at its class and its options.",
                id="notifications.E014",
            )


def _simulator() -> Iterator[CheckMessage]:
    url = settings.SIMULATOR_WEBHOOK_URL
    if url and urlsplit(url).scheme not in {"http", "https"}:
        yield Error(
            f"SIMULATOR_WEBHOOK_URL is {url!r}; it must begin with http:// or https://.",
            hint="It is where run_events reaches the web process, for example http://web:8000.",
            id="notifications.E015",
        )


def _chains() -> Iterator[CheckMessage]:
    known = ", ".join(sorted(settings.PROVIDERS))
    for channel in Channel.values:
        where = f"PROVIDERS_{channel.upper()}"
        chain = settings.PROVIDER_CHAINS.get(channel)
        if not chain:
            yield Error(
                f"{where} is empty: nothing could be sent on {channel}. Known: {known}.",
                hint=f"To send nothing on {channel}, leave it out of the categories' channels.",
                id="notifications.E006",
            )
        for name in chain or ():
            if name not in settings.PROVIDERS:
                yield Error(
                    f"{where} names {name!r}, which is not in PROVIDERS. Known: {known}.", id="notifications.E007"
                )
        if settings.TEST_PROVIDERS.get(channel) not in settings.PROVIDERS:
            yield Error(f"TEST_PROVIDERS has no known provider for {channel}. Known: {known}.", id="notifications.E007")
