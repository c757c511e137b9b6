"""After the fact: what the record says became of a notification, and what the gates would say of it today."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from core.statements import StatementTooSlow, bounded
from notifications import selectors, sources
from notifications.choices import Channel, EventType, HoldReason, SkipReason, Status
from notifications.drafts import Draft
from notifications.explain.digests import told
from notifications.explain.dry_run import explain
from notifications.explain.verdicts import Check, Explanation, Fate, Past, Source, Store, Verdict
from notifications.explain.wording import day, listed
from notifications.models import Delivery, DeliveryEvent, Notification, OutboxMessage
from notifications.selectors import Detail
from notifications.services.deduplication import first_of
from notifications.strategies import telling
from notifications.strategies.plan import as_asked, of_json
from notifications.words import words

#: The outbox is searched for when a delivery is due next; of a big backlog that would take long.
_DUE_TIMEOUT_MS = 300
#: Rows that are read of a lane: a person has 20 devices, and few deliveries are in the outbox more than twice.
_MOST_ROWS = 100


class Next(NamedTuple):
    """When the outbox has a delivery next. `held_by`: the name of the paused source that it waits for, else empty; then
    `at` is when it is looked at again, should nobody release it."""

    at: datetime
    held_by: str = ""


def look_back(notification_id: UUID) -> Past | None:
    """What became of a notification; None when there is no such one (any more). Raises django.db.Error."""
    found = selectors.detail(notification_id)
    if found is None:
        return None
    row = found.notification
    next_time = due(found.deliveries)
    paused = {id for id, scheduled in next_time.items() if scheduled.held_by}
    fates = tuple(_fate(row, one, found.events.get(one.id, []), next_time.get(one.id)) for one in found.deliveries)
    outlooks = telling.outlook(row, found.deliveries)
    fates = tuple(
        msgspec.structs.replace(fate, says=_WAITS + ahead.says, until=ahead.until)
        if (ahead := outlooks.get(fate.delivery_id)) and fate.delivery_id not in paused
        else fate
        for fate in fates
    )
    return Past(
        notification_id=row.pk,
        recipient=found.names.recipients.get(row.recipient_id),
        says=_summary(fates),
        fates=fates,
        today=_today(found),
    )


def _today(found: Detail) -> Explanation:
    """The same message to the same person, as if it were accepted now; its own mark and count don't stand in its way.
    A template is taken as it is published now."""
    row, now = found.notification, timezone.now()
    recipient, category = found.names.recipients.get(row.recipient_id), found.names.categories.get(row.category_id)
    template, _ = found.names.templates.get(row.template_version_id or 0, (None, 0))
    if recipient is None:
        return _gone(row, "recipient", "The recipient was erased, and what was written to them with it.")
    if template is None and row.content is None:
        return _gone(row, "content", "What it said is not on the record any more.")
    plan = of_json(row.plan)
    escalating = plan is not None and not plan.is_first
    draft = Draft(
        id=row.pk,
        recipient=recipient,
        category=category or "",
        template=template,
        content=None if template else row.content,
        data=row.data,
        channels=None if escalating else list(dict.fromkeys(one.channel for one in found.deliveries)) or None,
        strategy=None if plan is None else as_asked(plan),
        priority=row.priority,
        send_at=row.send_at if row.send_at and row.send_at > now else None,
        expires_at=row.expires_at if row.expires_at and row.expires_at > now else None,
        dedup_key=row.dedup_key,
        metadata=row.metadata,
    )
    return explain(draft, source=row.source, is_test=row.is_test)


def _gone(row: Notification, gate: str, says: str) -> Explanation:
    table = {"recipient": "preferences_recipient", "content": "notifications_notification"}[gate]
    source = Source(Store.POSTGRESQL, table, str(row.recipient_id if gate == "recipient" else row.pk))
    check = Check(gate=gate, verdict=Verdict.REFUSE, says=says, code="gone", sources=(source,))
    return Explanation(
        at=timezone.now(), outcome=Verdict.REFUSE, says=says, is_test=row.is_test, checks=(check,), ways=()
    )  # fmt: skip


def _fate(row: Notification, delivery: Delivery, events: Sequence[DeliveryEvent], scheduled: Next | None) -> Fate:
    last = events[-1] if events else None
    until, says = (scheduled.at, "") if scheduled else (None, "")
    if scheduled and scheduled.held_by:
        until, says = None, f"{_WAITS}{scheduled.held_by} is paused, and it leaves when that goes on."
    if until is None and row.send_at and row.send_at > timezone.now() and delivery.status == Status.QUEUED:
        until = row.send_at
    return Fate(
        delivery_id=delivery.pk,
        channel=delivery.channel,
        status=delivery.status,
        code=delivery.skip_reason or delivery.error_code or (last.code if last else ""),
        says=says or _says(delivery, events, until, row.expires_at),
        provider=delivery.provider or (last.provider if last else ""),
        at=last.at if last else delivery.created_at,
        until=until,
    )


def _says(
    delivery: Delivery, events: Sequence[DeliveryEvent], until: datetime | None, expires_at: datetime | None
) -> str:
    status = Status(delivery.status)
    last = events[-1] if events else None
    if status is Status.SKIPPED:
        first = first_of(event.detail for event in events)
        digested = ""
        if delivery.skip_reason == SkipReason.DIGESTED:
            digested = told((event.detail for event in events), expires_at)
        if delivery.skip_reason == SkipReason.NOT_NEEDED and last is not None and last.detail:
            return f"{words(delivery.skip_reason)} {last.detail}"
        return words(delivery.skip_reason) + (f" The first was {first}." if first else "") + digested
    if status in (Status.FAILED, Status.DEAD, Status.BOUNCED):
        reason = words(delivery.error_code or (last.code if last else "")) or str(status.label)
        tries = f" after {delivery.tries} attempts" if status is Status.DEAD and delivery.tries else ""
        start = {Status.FAILED: "Refused for good", Status.DEAD: f"Given up{tries}", Status.BOUNCED: "It bounced"}
        return f"{start[status]}: {reason}." if reason != str(status.label) else f"{start[status]}."
    if status is Status.QUEUED:
        return _waiting(delivery, last, until)
    if status is Status.SENDING:
        return "A worker has it in hand and waits for the provider's answer."
    return _arrived(delivery)


def _arrived(delivery: Delivery) -> str:
    provider = delivery.provider or "The provider"
    if delivery.status == Status.SENT:
        says = f"{provider} took it on {day(delivery.sent_at)}; nothing more was heard of it."
    else:
        says = f"It arrived on {day(delivery.delivered_at)}, by {delivery.provider or 'its provider'}."
    if delivery.clicked_at is not None:
        return f"{says} They followed a link on {day(delivery.clicked_at)}."
    return f"{says} They opened it on {day(delivery.opened_at)}." if delivery.opened_at is not None else says


def _waiting(delivery: Delivery, last: DeliveryEvent | None, until: datetime | None) -> str:
    when = f" It is due again on {day(until)}." if until is not None and until > timezone.now() else ""
    if last is not None and last.type in (EventType.HELD, EventType.DEFERRED):
        if last.code == HoldReason.QUIET_HOURS:
            return f"{_WAITS}{last.detail or words(last.code)}.{when}"
        who = f" ({last.provider})" if last.provider else ""
        return f"{_WAITS}{words(last.code)}{who}.{when}"
    if when:
        return f"It waits for its time: {day(until)}."
    return "It waits for a worker. If it waits for long, nobody may be serving this channel."


def due(deliveries: Sequence[Delivery]) -> dict[UUID, Next]:
    """When the outbox has each of these next, of one notification; those are missing that are not there, and those of a
    lane where too much is to be looked through. Two queries per lane. One that was brought forward is there twice: what
    is due already counts."""
    found: dict[UUID, tuple[datetime, str | None]] = {}
    waiting = [one for one in deliveries if one.status == Status.QUEUED]
    for channel, priority in dict.fromkeys((one.channel, one.priority) for one in waiting):
        wanted = {one.pk for one in waiting if one.channel == channel}
        lane = OutboxMessage.objects.filter(channel=channel, priority=priority, delivery_ids__overlap=list(wanted))
        # A backlog stands before what waits for its time, which is found from the other end at once.
        near = _rows(lane.filter(due_at__lte=Now()).order_by("due_at")[:_MOST_ROWS])
        far = _rows(lane.order_by("-due_at")[: len(wanted)])
        for ids, at, held_for in (*near, *reversed(far)):
            for id in wanted.intersection(ids):
                found.setdefault(id, (at, held_for))
    names = sources.names(sorted({source for _, source in found.values() if source}))
    return {id: Next(at, names[source].label if source else "") for id, (at, source) in found.items()}


def _rows(found: QuerySet[OutboxMessage]) -> Sequence[tuple[Sequence[UUID], datetime, str | None]]:
    """Their deliveries, moment and paused source; nothing where that takes too long."""
    try:
        with bounded(_DUE_TIMEOUT_MS):
            return list(found.values_list("delivery_ids", "due_at", "held_for"))
    except StatementTooSlow:
        return []


_WAITS = "It waits: "
_VERBS = {
    Status.DELIVERED: "It arrived by {}",
    Status.SENT: "It was sent by {}",
    Status.SENDING: "It is being sent by {}",
    Status.QUEUED: "It waits for {}",
    Status.SKIPPED: "It was not sent by {}",
    Status.BOUNCED: "It bounced on {}",
    Status.FAILED: "It failed on {}",
    Status.DEAD: "It was given up on {}",
}


def _summary(fates: Sequence[Fate]) -> str:
    if not fates:
        return "Its deliveries are not on the record any more."
    sentences = []
    for status, start in _VERBS.items():
        alike = [fate for fate in fates if fate.status == status]
        labels = list(dict.fromkeys(str(Channel(fate.channel).label) for fate in alike))
        if alike:
            reasons = list(dict.fromkeys(fate.says for fate in alike)) if status in _WITH_REASON else []
            why = f": {reasons[0].removeprefix(_WAITS)}" if len(reasons) == 1 else "."
            sentences.append(f"{start.format(listed(labels))}{why}")
    return " ".join(sentences)


_WITH_REASON = frozenset({Status.SKIPPED, Status.FAILED, Status.DEAD, Status.QUEUED})
