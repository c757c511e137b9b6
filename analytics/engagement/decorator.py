"""Puts tracked addresses into messages, and the pixel into emails, where their category wants that."""

from collections.abc import Collection, Mapping, Sequence
from html import escape

from django.conf import settings

from analytics.engagement.links import LinkBook, Ref
from analytics.engagement.rewriting import (
    FIELDS,
    Place,
    destination,
    places,
    substituted,
    utm_of,
    with_pixel,
    with_utm,
)
from analytics.engagement.tokens import PIXEL, tokens
from core.ids import Key
from notifications.choices import Channel
from notifications.decorators import Content
from notifications.services.claims import Claim
from notifications.services.rendering import FIELDS as SPECS
from preferences.services import PreferencesService

#: Pages of ours that nobody is watched on: the ways out, and what leads through us already.
OWN_PATHS = ("/u/", "/t/", "/preferences/")


class Engagement:
    """A `MessageDecorator`. A message whose category tracks nothing, or that holds no address, costs a look at it."""

    def __init__(self) -> None:
        self._preferences = PreferencesService()
        self._links = LinkBook()

    def decorate(self, channel: str, claims: Sequence[Claim], contents: Sequence[Content]) -> Sequence[Content]:
        """See `MessageDecorator`. Addresses of the batch that need a row and have none get one in one statement."""
        categories = self._preferences.categories_by_id(()).items()
        clicks = {id for id, category in categories if category.track_clicks}
        opens = {id for id, category in categories if category.track_opens} if channel == Channel.EMAIL else set()
        batch = _Batch(channel, claims, contents)
        batch.look(clicks)
        if batch.fields:
            batch.rewrite(self._links.refs(batch.uses, short=channel == Channel.SMS))
        if opens:
            batch.add_pixels(opens)
        return batch.finished()


#: One field of one message that has addresses to rewrite: number of the message, name, the addresses' places, where
#: they lead in the end, and whether through us. A tuple, of which there are thousands a second.
_Field = tuple[int, str, list[Place], list[str], bool]


class _Batch:
    """One call of `decorate`: found first, so that what is unknown is looked up together, then written."""

    def __init__(self, channel: str, claims: Sequence[Claim], contents: Sequence[Content]) -> None:
        self.fields: list[_Field] = []
        self.uses: list[tuple[str, Key]] = []  # the addresses to be tracked, each with the notification that says it
        self._channel, self._claims, self._contents = channel, claims, contents
        self._made: dict[int, dict[str, str]] = {}
        self._public = settings.PUBLIC_URL
        self._seen: dict[tuple[str, str], str] = {}  # (field, address as written) -> where it leads, or ""

    def look(self, clicks: Collection[int]) -> None:
        """Find the addresses in messages of these categories, and in those that ask for UTM parameters."""
        names, seen = FIELDS[self._channel], self._seen
        for n, claim in enumerate(self._claims):
            is_tracked, utm = claim.category_id in clicks, utm_of(claim.metadata) if claim.metadata else ()
            if not (is_tracked or utm):
                continue
            content, notification = self._contents[n], claim.notification_id
            for name in names:
                if "://" not in (text := content.get(name, "")):
                    continue
                found, targets = [], []
                for place in places(name, text):
                    if (url := seen.get(key := (name, place[2]))) is None:
                        url = seen[key] = self._destination(*key)
                    if url:
                        url = with_utm(url, utm) if utm else url
                        found.append(place)
                        targets.append(url)
                        if is_tracked:
                            self.uses.append((url, notification))
                if found:
                    self.fields.append((n, name, found, targets, is_tracked))

    def _destination(self, name: str, written: str) -> str:
        """Where an address leads; empty when it stays as it is."""
        url, public = destination(name, written), self._public
        return "" if url.startswith(public) and url.startswith(OWN_PATHS, len(public)) else url

    def rewrite(self, refs: Mapping[str, Ref]) -> None:
        """Put the new addresses in. A field that would become longer than its channel takes stays as it was."""
        make, base, specs = tokens().make, f"{self._public}/t/c/", SPECS[self._channel]
        limits = {name: specs[name].max_length for name in FIELDS[self._channel]}
        message = -1
        addresses: dict[str, str] = {}
        for n, name, found, targets, is_tracked in self.fields:
            if n != message:  # the HTML of an email and its text lead to the same places
                message, delivery, content, addresses = n, self._claims[n].id, self._contents[n], {}
            if is_tracked:
                for url in targets:
                    if url not in addresses:
                        addresses[url] = base + make(delivery, *refs[url])
                new = [addresses[url] for url in targets]
            else:
                new = [escape(url) for url in targets] if name == "html" else targets
            text = substituted(content[name], found, new)
            if len(text) <= limits[name]:
                self._changed(n)[name] = text

    def add_pixels(self, opens: Collection[int]) -> None:
        """A pixel of its own into each HTML of these categories."""
        make, base = tokens().make, f"{self._public}/t/o/"
        for n, claim in enumerate(self._claims):
            if claim.category_id in opens and self._contents[n].get("html"):
                content = self._changed(n)
                content["html"] = with_pixel(content["html"], base + make(claim.id, PIXEL))

    def _changed(self, n: int) -> dict[str, str]:
        """A message's content, to be changed."""
        if (made := self._made.get(n)) is None:
            made = self._made[n] = dict(self._contents[n])
        return made

    def finished(self) -> Sequence[Content]:
        """The contents: new where something was changed, and otherwise as they came."""
        made = self._made
        return [made.get(n, one) for n, one in enumerate(self._contents)] if made else self._contents
