"""Telling listeners what happened to deliveries, inside the transaction that records it. See `EventListener`."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from core.ids import Key
from notifications import registry
from notifications.observers import EventListener, Happening
from notifications.services.claims import Result
from notifications.services.tracking_sql import Row


def listening() -> list[tuple[EventListener, Collection[str]]]:
    """Who listens now, and to which sources. Nearly always nobody, and then a batch costs no more than this call."""
    return [(one, sources) for one in registry.listeners() if (sources := one.sources())]


def tell(happenings: Iterable[Happening]) -> None:
    """Each listener hears what comes from its sources."""
    told = list(happenings)
    for listener, sources in listening():
        if wanted := [one for one in told if one.source in sources]:
            listener.tell(wanted)


def tell_results(news: Sequence[Result]) -> None:
    """What became of claims."""
    if listening():
        tell(
            Happening(
                r.claim.id, r.claim.notification_id, r.claim.source, r.claim.channel, r.type.value, r.code, r.provider
            )
            for r in news
        )


def tell_touched(type: str, touched: Sequence[tuple[Key, Key, str, str, str]], origins: Mapping[Key, Row]) -> None:
    """The same thing happened to each (delivery, notification, channel, provider, reason); `origins` has the rows of
    ORIGINS by notification."""
    if listening():
        tell(
            Happening(delivery, notification, origins[notification][1], channel, type, reason, provider)
            for delivery, notification, channel, provider, reason in touched
            if notification in origins
        )
