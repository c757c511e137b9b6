"""Providers as the dashboard shows them: who serves, how the others stand, what an operator may do; and the limits."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.urls import reverse

from analytics.dashboard.links import Links
from analytics.dashboard.verdict import BAD, GOOD, QUIET, UNKNOWN, WARN
from notifications.choices import Channel
from notifications.models import RateLimit
from notifications.models.limits import LimitScope
from notifications.services.limits import Limit
from notifications.services.providers import Chain, Overview, Standing, State
from notifications.services.rate_limiter import RateLimiter

#: Limits shown, those under most pressure first.
MOST_LIMITS = 12
#: Rows of limits looked at: each costs a place in one call of Redis.
_LOOKED_AT = 200
_TONES: Mapping[str, str] = {
    State.CLOSED: GOOD,
    State.HALF_OPEN: WARN,
    State.OPEN: BAD,
    State.PAUSED: WARN,
    State.SWITCHED_OFF: QUIET,
    State.UNKNOWN: UNKNOWN,
}
_ADMIN = "admin:notifications_providerswitch_{}"


def chains(overview: Overview, links: Links) -> list[dict[str, Any]]:
    """Every channel's chain, in the order its providers are asked."""
    return [
        {
            "channel": chain.channel.value,
            "label": str(chain.channel.label),
            "words": serving_words(chain),
            "tone": _tone(chain),
            "providers": [_provider(one, one is chain.serving, links) for one in chain.providers],
        }
        for chain in sorted(overview.chains, key=lambda chain: Channel.values.index(chain.channel))
    ]


def serving_words(chain: Chain) -> str:
    """Who serves a channel, in a few words."""
    if chain.serving is not None:
        return f"{'by' if chain.serving is chain.providers[0] else 'failed over to'} {chain.serving.name}"
    states = {one.state for one in chain.providers}
    if State.UNKNOWN in states:
        return "unknown while Redis is away"
    return "waits for a probe" if State.HALF_OPEN in states else "nobody: messages wait"


def _tone(chain: Chain) -> str:
    if chain.serving is not None:
        return GOOD if chain.serving is chain.providers[0] else WARN
    states = {one.state for one in chain.providers}
    return UNKNOWN if State.UNKNOWN in states else WARN if State.HALF_OPEN in states else BAD


def _provider(one: Standing, is_serving: bool, links: Links) -> dict[str, Any]:
    return {
        "name": one.name,
        "state": str(one.state.label),
        "tone": _TONES[one.state],
        "serving": is_serving,
        "calls": one.tally.calls if one.circuit is not None else None,
        "failed": one.failure_rate,
        "slow": one.slow_rate,
        "open_for": one.open_for,
        "paused_for": one.paused_for,
        "switch": {"by": one.switch.by, "reason": one.switch.reason} if one.switch else None,
        "acts": _acts(one, links),
    }


def _acts(one: Standing, links: Links) -> list[dict[str, str]]:
    """What the reader may do to it: pages that ask before they act."""
    may_on = links.may("notifications.providerswitch", "delete")
    acts: list[tuple[str, str]] = []
    if one.name not in settings.PROVIDERS and one.switch is None:
        return []
    if one.switch is not None:
        acts += [("on", "Switch on")] if may_on else []
    elif links.may("notifications.providerswitch", "add"):
        acts.append(("off", "Switch off"))
    if one.has_history and may_on:
        acts.append(("reset", "Reset circuit"))
    return [{"act": act, "label": label, "url": reverse(_ADMIN.format(act), args=[one.name])} for act, label in acts]


def limits(links: Links) -> list[dict[str, Any]]:
    """Limits that count one thing (a provider, an API key, all providers), by how much of each is used; `used` is None
    when Redis cannot say."""
    kept = RateLimit.objects.filter(is_on=True).exclude(scope__in=[LimitScope.RECIPIENT, LimitScope.CAP])
    rows = [row for row in kept[:_LOOKED_AT] if row.target or row.scope == LimitScope.GLOBAL]
    used = RateLimiter().used({(row.scope, row.target): Limit(row.max, row.per_seconds) for row in rows})
    pressure = {row.pk: (used or {}).get((row.scope, row.target), 0) / row.max for row in rows}
    rows.sort(key=lambda row: -pressure[row.pk])
    return [
        {
            "label": row.target or "All providers together",
            "kind": str(row.get_scope_display()),
            "max": row.max,
            "seconds": row.per_seconds,
            "used": None if used is None else used.get((row.scope, row.target), 0),
            "url": reverse("admin:notifications_ratelimit_change", args=[row.pk]),
        }
        for row in rows[:MOST_LIMITS]
    ]
