"""What the sources of notifications are called. A source is an opaque text ("campaign:42", "api:3f9a…"): who writes one
knows what it stands for, and says so through a namer in `settings.SOURCE_NAMERS`."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from notifications import registry
from notifications.models import ApiKey

_KEY = "api:"
_BARE = {"notify": "Our own code, by notify()", "admin": "The admin"}


class SourceName(NamedTuple):
    """A name for people, and the admin's page about it ("" where there is none)."""

    label: str
    url: str = ""


#: From sources to the names of those among them that it knows, in a constant number of queries.
SourceNamer = Callable[[Sequence[str]], Mapping[str, SourceName]]


def names(sources: Sequence[str]) -> dict[str, SourceName]:
    """A name for each; one that nobody knows is called what it is."""
    found = {source: SourceName(_BARE.get(source, source)) for source in sources}
    found |= api_keys(sources)
    for namer in registry.source_namers():
        found |= namer(sources)
    return found


def api_keys(sources: Sequence[str]) -> dict[str, SourceName]:
    """API keys by their names; one that is gone by its prefix."""
    prefixes = {source: source.removeprefix(_KEY) for source in sources if source.startswith(_KEY)}
    known = dict(ApiKey.objects.filter(prefix__in=prefixes.values()).values_list("prefix", "name"))
    return {source: SourceName(known.get(prefix, f"API key {prefix}")) for source, prefix in prefixes.items()}
