"""The rows of one acceptance: what each draft becomes, gathered and written with one COPY per table.

A batch mostly says the same kind of thing to many people. What alike drafts have in common is put into bytes once, and
a row is then one joining of those with what differs: the ids, the person and the data.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from uuid import UUID

import msgspec
from django.db.backends.utils import CursorWrapper

from core import ids
from core.ids import Key
from notifications import bulk, registry
from notifications.bulk import EMPTY, FALSE, KEY, NO_VALUE, TRUE, integer_field, moment_field, small_field, text_field
from notifications.choices import EventType, SkipReason, Status
from notifications.drafts import Accepted
from notifications.models.outbox import MAX_DELIVERIES
from notifications.observers import Happening, OutcomeKey
from notifications.services import listening, quiet
from notifications.services.admission import NOTHING, Admitted, Terms
from notifications.services.deduplication import Ask, DeduplicationService, detail_of
from notifications.services.recording import EVENT_COLUMNS, Why, event_rows
from notifications.services.routing import Route, route
from notifications.strategies.plan import Plan, delays, encode

#: Both begin with what a `Batch` says of each row, and end with what alike drafts have in common. The moment a row was
#: made is its default: now, by the database's clock.
_NOTIFICATION_COLUMNS = (
    "id, recipient_id, data, metadata, content, dedup_key, send_at, expires_at,"
    " category_id, template_version_id, priority, source, is_test, plan"
)
_DELIVERY_COLUMNS = (
    "id, notification_id, recipient_id, device_token_id,"
    " channel, priority, status, skip_reason, attempts, provider, error_code"
)
_NOTIFICATION, _DELIVERY = bulk.head(_NOTIFICATION_COLUMNS), bulk.head(_DELIVERY_COLUMNS) + KEY
_DUPLICATE = SkipReason.DUPLICATE.value
_DIGESTED = SkipReason.DIGESTED.value
_IN_DIGEST = "In digest "
#: Between the parts of what is said; JSON holds no such byte.
_THEN = b"\0"


class Gathered(msgspec.Struct, frozen=True):
    """An item's digest, and the channels on which it waits there."""

    digest: Key
    channels: frozenset[str]

    @property
    def detail(self) -> str:
        """What the events of its deliveries say."""
        return f"{_IN_DIGEST}{ids.uuid(self.digest)}"


def digest_in(details: Iterable[str]) -> UUID | None:
    """The digest that events name as the one their delivery waits in, or None."""
    return next((UUID(one.removeprefix(_IN_DIGEST)) for one in details if one.startswith(_IN_DIGEST)), None)


class Item(msgspec.Struct, gc=False):
    """An admitted draft with its id and its routes. The collector need not look: nothing in it refers back."""

    admitted: Admitted
    id: Key
    routes: Sequence[Route]


class _Lane(msgspec.Struct):
    """Deliveries that differ in nothing but their ids and people; `fields` is the end of their rows."""

    channel: str
    skip: str
    due_at: datetime | None
    fields: bytes
    deliveries: list[Key]


class _Alike:
    """What drafts on the same terms have in common: the end of their rows, and the beginning of what they say."""

    def __init__(self, terms: Terms, source: str, is_test: bool) -> None:
        version = NO_VALUE if terms.template is None else integer_field(terms.template.version_id)
        category, test = small_field(terms.category.id), TRUE if is_test else FALSE
        self.terms = terms
        plan = NO_VALUE if terms.plan is None else bulk.raw_json_field(encode(terms.plan))
        self.fields = b"".join((category, version, text_field(terms.priority), text_field(source), test, plan))
        self.key_says = category + test + b"key" + _THEN
        self.wording_says = _THEN.join((category + test + version, ",".join(sorted(terms.channels)).encode(), b""))
        self.notifications = 0
        self.lanes: dict[tuple[str, str, datetime | None], _Lane] = {}
        self.waits = quiet.waits(terms.category, terms.priority, is_test=is_test)
        self.held: Counter[str] = Counter()  # by channel, for quiet hours

    def lane(self, channel: str, skip: str, due_at: datetime | None) -> _Lane:
        key = (channel, skip, due_at)
        if (found := self.lanes.get(key)) is None:
            status = Status.SKIPPED.value if skip else Status.QUEUED.value
            words = b"".join(map(text_field, (channel, self.terms.priority, status, skip)))
            found = self.lanes[key] = _Lane(channel, skip, due_at, words + integer_field(0) + EMPTY + EMPTY, [])
        return found


class Batch:
    """Drafts of one call of `NotificationService.send`, on their way into the record."""

    def __init__(self, source: str, is_test: bool, now: datetime) -> None:
        self.source = source
        self.is_test = is_test
        self.now = now
        self._alike: dict[Terms, _Alike] = {}
        self._new: Iterator[Key] = iter(())
        self._notifications: list[bytes] = []
        self._deliveries: list[bytes] = []
        self._share = quiet.share()
        self._skips: list[tuple[Key, EventType, int, Why]] = []  # and holds
        self._skipped: list[tuple[Key, str]] = []  # the notification and the channel of each

    def weigh(
        self,
        cursor: CursorWrapper,
        admitted: Sequence[Admitted],
        duplicates: DeduplicationService,
        *,
        lock: int = 0,
        known: Collection[Key] = frozenset(),
    ) -> tuple[list[Item], dict[Key, Key]]:
        """Where each would go, and the duplicates among them: notification -> the first. `known` are on the record
        already and not asked about. Acceptance and explaining both decide here; only the former then adds and writes.
        """
        items = self.items(admitted)
        asks = [ask for item in items if item.id not in known and (ask := self.ask(item)) is not None]
        return items, duplicates.firsts(cursor, asks, lock=lock, now=self.now, is_test=self.is_test)

    def items(self, admitted: Sequence[Admitted]) -> list[Item]:
        """Each with its id, given or new, and its routes."""
        items = [
            Item(
                one,
                new if one.draft.id is None else ids.key(one.draft.id),
                route(one.reach, one.terms.category, one.terms.channels),
            )
            for one, new in zip(admitted, ids.keys(len(admitted)), strict=True)
        ]
        self._new = iter(ids.keys(sum([len(item.routes) for item in items if item.admitted.draft.id is None])))
        return items

    def ask(self, item: Item) -> Ask | None:
        """What deduplication is asked; None when the category wants none, or when it reaches nobody: that must not
        hold back one that does."""
        admitted, draft, category = item.admitted, item.admitted.draft, item.admitted.terms.category
        if not category.dedup_seconds or (item.routes[0].skip and all(way.skip for way in item.routes)):
            return None
        alike = self._alike_of(admitted.terms)
        if draft.dedup_key:
            said = item.admitted.reach.id + alike.key_says + draft.dedup_key.encode()
        else:
            moment = b"" if draft.send_at is None else str(draft.send_at.timestamp()).encode()
            words = (alike.wording_says, admitted.data, _THEN, admitted.content or b"", _THEN, moment)
            said = item.admitted.reach.id + b"".join(words)
        mark = blake2b(said, digest_size=16).digest()
        return Ask(item.id, item.admitted.reach.id, category.id, mark, category.dedup_seconds, draft.dedup_key)

    def add(self, item: Item, duplicate_of: Key | None, gathered: Gathered | None = None) -> Accepted:
        """Put it with its deliveries into the rows; those of a duplicate, or that wait in a digest, are skipped."""
        admitted, draft, alike = item.admitted, item.admitted.draft, self._alike_of(item.admitted.terms)
        owner = b"".join((KEY, item.id, KEY, item.admitted.reach.id))
        self._notifications.append(b"".join((_NOTIFICATION, owner, _own_fields(admitted), alike.fields)))
        alike.notifications += 1
        due_at = draft.send_at if draft.send_at is not None and draft.send_at > self.now else None
        hours, hold = admitted.reach.quiet, None
        if hours is not None and alike.waits:
            hold = quiet.hold(hours, due_at or self.now, draft.expires_at, self._share)
        later = {} if alike.terms.plan is None else self._later(alike.terms.plan, item.routes, due_at, gathered)
        skipped = 0
        for position, way in enumerate(item.routes):
            skip = way.skip or ("" if duplicate_of is None else _DUPLICATE)
            if gathered is not None and not skip and way.channel in gathered.channels:
                skip = _DIGESTED
            delivery = next(self._new) if draft.id is None else ids.derived(item.id, position)
            device = NO_VALUE if way.device is None else KEY + way.device
            # A later step is asked about quiet hours when its time has come.
            held = None if skip or way.channel == quiet.SILENT or way.channel in later else hold
            due = later.get(way.channel, due_at)
            lane = alike.lane(way.channel, skip, due) if held is None else self._hold(alike, way, held)
            lane.deliveries.append(delivery)
            self._deliveries.append(b"".join((_DELIVERY, delivery, owner, device, lane.fields)))
            if held is not None:
                skip = held.skip
                kind, why = (EventType.SKIPPED, skip) if skip else (EventType.HELD, quiet.QUIET)
                self._skips.append((delivery, kind, 0, Why(code=why, detail=held.says)))
                self._skipped.append((item.id, way.channel))
                skipped += bool(skip)
            elif skip:
                skipped += 1
                detail = detail_of(duplicate_of) if duplicate_of is not None and not way.skip else ""
                if gathered is not None and skip == _DIGESTED:
                    detail = gathered.detail
                self._skips.append((delivery, EventType.SKIPPED, 0, Why(code=skip, detail=detail)))
                self._skipped.append((item.id, way.channel))
        return Accepted(item.id, len(item.routes) - skipped, skipped, first=duplicate_of)

    def _later(
        self, plan: Plan, routes: Sequence[Route], start: datetime | None, gathered: Gathered | None
    ) -> dict[str, datetime]:
        """When the steps after the first are due, of the channels that this person can be reached on."""
        away = gathered.channels if gathered is not None else ()
        usable = [way.channel for way in routes if not way.skip and way.channel not in away]
        base = start or self.now
        waits = delays(plan, tuple(dict.fromkeys(usable)))
        return {channel: base + timedelta(seconds=wait) for channel, wait in waits.items() if wait}

    def write(self, cursor: CursorWrapper) -> None:
        if not self._notifications:
            return
        bulk.copy_rows(cursor, "notifications_notification", _NOTIFICATION_COLUMNS, self._notifications)
        bulk.copy_rows(cursor, "notifications_delivery", _DELIVERY_COLUMNS, self._deliveries)
        bulk.copy_rows(cursor, "notifications_deliveryevent", EVENT_COLUMNS, event_rows(self._skips))
        self._schedule()
        counts = self._counts()
        for observer in registry.observers():
            observer.record(counts)
        self._tell_skips()

    def _alike_of(self, terms: Terms) -> _Alike:
        if (found := self._alike.get(terms)) is None:
            found = self._alike[terms] = _Alike(terms, self.source, self.is_test)
        return found

    @staticmethod
    def _hold(alike: _Alike, way: Route, held: quiet.Quiet) -> _Lane:
        if held.skip:
            return alike.lane(way.channel, held.skip, None)
        alike.held[way.channel] += 1
        return alike.lane(way.channel, "", held.due_at)

    def _schedule(self) -> None:
        schedule = bulk.Schedule(MAX_DELIVERIES)
        for alike in self._alike.values():
            for lane in alike.lanes.values():
                if not lane.skip:
                    schedule.extend(lane.channel, alike.terms.priority, lane.deliveries, due_at=lane.due_at)
        schedule.write()

    def _tell_skips(self) -> None:
        """To who listens to this source. That the rest was accepted, the caller knows from the answer."""
        if self._skips and any(self.source in sources for _, sources in listening.listening()):
            listening.tell(
                Happening(delivery, notification, self.source, channel, type.value, why.code)
                for (delivery, type, _, why), (notification, channel) in zip(self._skips, self._skipped, strict=True)
            )

    def _counts(self) -> Counter[OutcomeKey]:
        counts: Counter[OutcomeKey] = Counter()
        for alike in self._alike.values():
            category_id = alike.terms.category.id
            counts[OutcomeKey(self.source, category_id, "", "", "accepted")] += alike.notifications
            for channel, n in alike.held.items():
                counts[OutcomeKey(self.source, category_id, channel, "", EventType.HELD.value, quiet.QUIET)] += n
            for lane in alike.lanes.values():
                outcome = EventType.SKIPPED.value if lane.skip else "queued"
                key = OutcomeKey(self.source, category_id, lane.channel, "", outcome, lane.skip)
                counts[key] += len(lane.deliveries)
        return counts


def _own_fields(admitted: Admitted) -> bytes:
    """What is a notification's own: data, metadata, content, key and times."""
    draft = admitted.draft
    data, metadata = bulk.raw_json_field(admitted.data), admitted.metadata
    if metadata is NOTHING and not (admitted.content or draft.dedup_key or draft.send_at or draft.expires_at):
        return data + _NOTHING_ELSE
    return b"".join(
        (
            data,
            bulk.raw_json_field(metadata),
            NO_VALUE if admitted.content is None else bulk.raw_json_field(admitted.content),
            text_field(draft.dedup_key),
            moment_field(draft.send_at),
            moment_field(draft.expires_at),
        )
    )


_NOTHING_ELSE = bulk.raw_json_field(NOTHING) + NO_VALUE + EMPTY + NO_VALUE + NO_VALUE
