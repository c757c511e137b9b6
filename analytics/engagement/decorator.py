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

    def look(self, clicks: Collection[int]) -> None:
        """Find the addresses in messages of these categories, and in those that ask for UTM parameters."""
        names = FIELDS[self._channel]
        for n, claim in enumerate(self._claims):
            is_tracked, utm = claim.category_id in clicks, utm_of(claim.metadata) if claim.metadata else ()
            if not (is_tracked or utm):
                continue
            content = self._contents[n]
            for name in names:
                if "://" in (text := content.get(name, "")):
                    self._look_at(n, name, text, is_tracked, utm)

    def _look_at(self, n: int, name: str, text: str, is_tracked: bool, utm: Sequence[tuple[str, str]]) -> None:
        found, targets = [], []
        for place in places(name, text):
            url = destination(name, place[2])
            if not url or (url.startswith(self._public) and url.startswith(OWN_PATHS, len(self._public))):
                continue
            found.append(place)
            targets.append(with_utm(url, utm) if utm else url)
        if found:
            self.fields.append((n, name, found, targets, is_tracked))
            if is_tracked:
                notification = self._claims[n].notification_id
                self.uses += [(url, notification) for url in targets]

    def rewrite(self, refs: Mapping[str, Ref]) -> None:
        """Put the new addresses in. A field that would become longer than its channel takes stays as it was."""
        make, base, specs = tokens().make, f"{self._public}/t/c/", SPECS[self._channel]
        message = -1
        addresses: dict[str, str] = {}
        for n, name, found, targets, is_tracked in self.fields:
            if n != message:  # the HTML of an email and its text lead to the same places
                message, delivery, addresses = n, self._claims[n].id, {}
            if is_tracked:
                for url in targets:
                    if url not in addresses:
                        addresses[url] = base + make(delivery, *refs[url])
                new = [addresses[url] for url in targets]
            else:
                new = [escape(url) for url in targets] if name == "html" else targets
            text = substituted(self._contents[n][name], found, new)
            if len(text) <= specs[name].max_length:
                self._made.setdefault(n, {})[name] = text

    def add_pixels(self, opens: Collection[int]) -> None:
        """A pixel of its own into each HTML of these categories."""
        make, base = tokens().make, f"{self._public}/t/o/"
        for n, claim in enumerate(self._claims):
            if claim.category_id in opens and (html := self._contents[n].get("html")):
                made = self._made.setdefault(n, {})
                made["html"] = with_pixel(made.get("html", html), base + make(claim.id, PIXEL))

    def finished(self) -> Sequence[Content]:
        """The contents: new where something was changed, and otherwise as they came."""
        if not self._made:
            return self._contents
        return [{**one, **self._made[n]} if n in self._made else one for n, one in enumerate(self._contents)]
