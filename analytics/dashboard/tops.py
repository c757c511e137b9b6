"""Who sends most, and how that goes: campaigns, callers, categories, providers."""

from collections.abc import Sequence
from typing import Any

from analytics.dashboard.asked import Asked
from analytics.dashboard.figures import success
from analytics.dashboard.links import Links
from analytics.rollups import reading
from notifications import sources
from notifications.choices import EventType
from preferences.models import Category

#: Rows of a ranking.
MOST = 8
#: Sources asked for: among a year's thousands of campaigns and keys the greatest are of either kind.
_ASKED = 1000
_LOST = (EventType.FAILED, EventType.DEAD, EventType.BOUNCED)
#: What a row tells of a category, and of a provider.
_OF_CATEGORY = (EventType.SENT, EventType.OPENED, EventType.SKIPPED, *_LOST)
_OF_PROVIDER = (EventType.SENT, EventType.DEFERRED, *_LOST)


def tops(asked: Asked, links: Links) -> dict[str, Any]:
    """The rankings of the span, by messages sent."""
    return {
        **_sources(asked, links),
        "categories": _categories(asked, links),
        "providers": _providers(asked, links),
    }


def _sources(asked: Asked, links: Links) -> dict[str, Any]:
    sent = _ranked(asked, EventType.SENT)
    opened, lost = dict(_ranked(asked, EventType.OPENED)), dict(_ranked(asked, *_LOST))
    campaigns = [(name, count) for name, count in sent if name.startswith("campaign:")][:MOST]
    callers = [(name, count) for name, count in sent if not name.startswith("campaign:")][:MOST]
    named = sources.names([name for name, _ in [*campaigns, *callers]])
    may_open_campaigns = links.may("campaigns.campaign")

    def row(name: str, count: int) -> dict[str, Any]:
        page = named[name].url if may_open_campaigns else ""
        return {
            "label": named[name].label,
            "sent": count,
            "opened": _of(name, opened),
            "lost": _of(name, lost),
            "url": page or links.notifications(asked, source=name),
        }

    return {"campaigns": [row(*one) for one in campaigns], "callers": [row(*one) for one in callers]}


def _ranked(asked: Asked, *outcomes: str) -> list[tuple[str, int]]:
    span: dict[str, Any] = {"since": asked.since, "until": asked.until, "where": asked.where}
    return [(name, count) for name, count in reading.top("source", outcomes, limit=_ASKED, **span) if count]


def _of(name: str, ranking: dict[str, int]) -> int | None:
    """A source's place in a ranking; missing from a whole one it is nought, from a cut one unknown."""
    return ranking.get(name, None if len(ranking) >= _ASKED else 0)


def _categories(asked: Asked, links: Links) -> list[dict[str, Any]]:
    span: dict[str, Any] = {"since": asked.since, "until": asked.until, "where": asked.where}
    found = reading.totals("category", _OF_CATEGORY, **span)
    found.pop("0", None)  # of what belongs to no category, such as receipts for messages that nobody knows
    ranked = sorted(found.items(), key=lambda item: -item[1].total(EventType.SENT, EventType.SKIPPED))[:MOST]
    named = dict(Category.objects.filter(pk__in=[int(key) for key, _ in ranked]).values_list("pk", "name"))
    return [
        {
            "label": named.get(int(key), f"Category {key}"),
            "sent": tallies.total(EventType.SENT),
            "opened": tallies.total(EventType.OPENED),
            "skipped": tallies.total(EventType.SKIPPED),
            "lost": tallies.total(*_LOST),
            "success": success(tallies),
            "url": links.notifications(asked, category=key),
        }
        for key, tallies in ranked
    ]


def _providers(asked: Asked, links: Links) -> list[dict[str, Any]]:
    span: dict[str, Any] = {"since": asked.since, "until": asked.until, "where": asked.where}
    found = reading.totals("provider", _OF_PROVIDER, **span)
    speed = reading.latency(by="provider", **span)
    ranked: Sequence[tuple[str, reading.Tallies]] = sorted(
        ((key, tallies) for key, tallies in found.items() if key), key=lambda item: -item[1].total(EventType.SENT)
    )[:MOST]
    return [
        {
            "label": key,
            "sent": tallies.total(EventType.SENT),
            "retried": tallies.total(EventType.DEFERRED),
            "lost": tallies.total(*_LOST),
            "success": success(tallies),
            "p95": speed[key].quantile(0.95) if key in speed else None,
            "url": links.list(
                "notifications.delivery",
                created_from=asked.since.strftime("%Y-%m-%dT%H:%M"),
                created_to="" if asked.is_live else asked.until.strftime("%Y-%m-%dT%H:%M"),
                provider=key,
            ),
        }
        for key, tallies in ranked
    ]
