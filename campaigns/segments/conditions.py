"""One condition as SQL over the alias `r` of preferences_recipient. What was typed only ever travels as a parameter.

Each expression is true or false, never null: the opposite of an operator is exactly everyone else.

Costs, for one person: a column or an attribute is read from the row itself. Preferences, devices and lists are one
look into an index that begins with the person. Engagement goes by the index (recipient, id) of the notifications of
the weeks asked for, and from there to their deliveries: one look per week's partition, so 30 days are about ten. Of
everybody at once these become hash joins over those weeks: give them `WORK_MEM`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from django.utils import timezone

from campaigns.segments.definition import Condition
from campaigns.segments.references import Known
from campaigns.segments.values import Engagement
from campaigns.segments.vocabulary import Kind
from core.ids import floor

Sql = tuple[str, list[Any]]

#: For a statement over everybody. With less, PostgreSQL asks person by person where conditions are joined by "or": for
#: a million people minutes instead of seconds.
WORK_MEM: Final = "256MB"
#: A message counts by when it was sent, opened or clicked, and is found by when it was accepted. One that was accepted
#: more than so long before the days asked for is not looked at.
LOOK_BACK: Final = timedelta(days=30)

#: Seconds since 1970 in steps of 65.536, which is how the first eight digits of an id count.
_STEP_OF_ID = "('x' || left(n.id::text, 8))::bit(32)::bigint"
#: A delivery's id is made in the same call as its notification's, so within a step before and after. Of a few people
#: that spares a look into the partitions of all other weeks; of everybody it would only be work.
_SAME_MOMENT: Final = (
    f" AND d.id >= (lpad(to_hex({_STEP_OF_ID} - 1), 8, '0') || '-0000-0000-0000-000000000000')::uuid"
    f" AND d.id <= (lpad(to_hex({_STEP_OF_ID} + 1), 8, '0') || '-ffff-ffff-ffff-ffffffffffff')::uuid"
)
#: What is compared as text. `language` is what comes before the region: pt of pt-BR.
_COLUMNS: Final = {
    "external_id": "r.external_id",
    "name": "r.name",
    "email": "r.email",
    "phone": "r.phone",
    "language": "split_part(r.locale, '-', 1)",
    "locale": "r.locale",
    "timezone": "r.timezone",
}
_DID: Final = {"sent": "d.sent_at", "opened": "d.opened_at", "clicked": "d.clicked_at"}

#: Numbers also where an import made text of them. Everything else is no number, not an error.
_IS_NUMBER = "(r.attributes ->> %s) ~ '^-?[0-9]{1,30}(\\.[0-9]{1,15})?$'"
#: Dates and moments as ISO 8601 writes them; the day is compared as text, so that a 31 February breaks nothing.
_IS_DATE = "(r.attributes ->> %s) ~ '^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])'"
_DAY = 'left(r.attributes ->> %s, 10) COLLATE "C"'
_COMPARED: Final = {"equals": "=", "more_than": ">", "at_least": ">=", "less_than": "<", "at_most": "<="}


@dataclass(frozen=True, slots=True)
class Context:
    """What a condition is compiled with: the moment that counts as now, and what the names in it stand for. `few`: the
    statement looks at a few people, one by one, and not at everybody. The answer is the same, the way to it is not."""

    now: datetime
    known: Known
    few: bool = False

    def exists(self, rows: str) -> str:
        """Whether there is any of these rows, which are of the person `r`. OFFSET 0 keeps PostgreSQL from gathering the
        rows of everybody first."""
        return f"EXISTS ({rows}{' OFFSET 0' if self.few else ''})"

    def day(self, offset: int = 0) -> date:
        """A day of the installation's time zone, by its distance from today."""
        return timezone.localtime(self.now).date() + timedelta(days=offset)


def compiled(condition: Condition, context: Context) -> Sql:
    """The condition's SQL and its parameters, in order."""
    op = condition.op
    sql, parameters = _BY_KIND[condition.field.kind](condition, op.denies or op.name, context)
    return (f"NOT ({sql})" if op.denies else f"({sql})"), parameters


def _presence(condition: Condition, op: str, context: Context) -> Sql:
    return f"{_COLUMNS[condition.field.name]} <> ''", []


def _exact(condition: Condition, op: str, context: Context) -> Sql:
    column, value = _COLUMNS[condition.field.name], condition.value
    if op == "is":
        return f"{column} = %s", [value]
    if op == "in":
        return f"{column} = ANY(%s::text[])", [value]
    return f"{column} LIKE %s", [_pattern(value) + "%"]


def _text(condition: Condition, op: str, context: Context) -> Sql:
    return _in_any_case(_COLUMNS[condition.field.name], [], op, condition.value)


def _in_any_case(text: str, parameters: list[Any], op: str, value: Any) -> Sql:
    """Text that people typed, compared as people do. `text` may be null."""
    if op == "is_set":
        return f"coalesce({text}, '') <> ''", parameters
    if op == "is":
        return f"coalesce(lower({text}) = lower(%s), false)", [*parameters, value]
    if op == "in":
        values = "ARRAY(SELECT lower(v) FROM unnest(%s::text[]) v)"
        return f"coalesce(lower({text}) = ANY({values}), false)", [*parameters, value]
    pattern = _pattern(value) + "%" if op == "starts_with" else f"%{_pattern(value)}%"
    return f"coalesce({text} ILIKE %s, false)", [*parameters, pattern]


def _pattern(text: str) -> str:
    """The text with nothing in it that LIKE takes for a wildcard."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _moment(condition: Condition, op: str, context: Context) -> Sql:
    if op == "within_days":
        return "r.created_at >= %s", [context.now - timedelta(days=condition.value)]
    midnight = timezone.make_aware(datetime.combine(condition.value, datetime.min.time()))
    return ("r.created_at < %s" if op == "before" else "r.created_at >= %s"), [midnight]


def _attribute(condition: Condition, op: str, context: Context) -> Sql:
    key, value = condition.key, condition.value
    if op in _COMPARED:
        compared = f"(r.attributes ->> %s)::numeric {_COMPARED[op]} %s"
        return f"CASE WHEN {_IS_NUMBER} THEN {compared} ELSE false END", [key, key, value]
    if op in {"is_true", "is_false"}:
        return "coalesce(lower(r.attributes ->> %s) = %s, false)", [key, op.removeprefix("is_")]
    if op in {"before", "on_or_after"}:
        return _dated(key, {"before": "<", "on_or_after": ">="}[op], value)
    if op == "within_days":
        return _between(key, context.day(-value), context.day())
    if op == "in_next_days":
        return _between(key, context.day(), context.day(value))
    return _in_any_case("(r.attributes ->> %s)", [key], op, value)


def _dated(key: str, compare: str, day: date) -> Sql:
    return f"coalesce({_IS_DATE} AND {_DAY} {compare} %s, false)", [key, key, day.isoformat()]


def _between(key: str, first: date, last: date) -> Sql:
    return (
        f"coalesce({_IS_DATE} AND {_DAY} BETWEEN %s AND %s, false)",
        [key, key, first.isoformat(), last.isoformat()],
    )


def _preference(condition: Condition, op: str, context: Context) -> Sql:
    """A category's own row wins over a no to all marketing and that over the channel-wide row; no row is a yes, and so
    is anything of a required one."""
    channel = condition.value.channel
    off = "SELECT 1 FROM preferences_preference p WHERE p.recipient_id = r.id AND p.channel = %s AND NOT p.enabled"
    if not condition.value.category:
        return context.exists(f"{off} AND p.category_id IS NULL"), [channel]
    category = context.known.category(condition.value.category)
    if category.is_required:
        return "false", []
    own = (
        "SELECT 1 FROM preferences_preference o WHERE o.recipient_id = r.id AND o.channel = %s AND o.category_id = %s"
        " AND o.enabled"
    )
    noes = context.exists(f"{off} AND (p.category_id = %s OR p.category_id IS NULL)")
    if not category.is_marketing:
        return f"{noes} AND NOT {context.exists(own)}", [channel, category.id, channel, category.id]
    # A no to all marketing takes back the yes to one of its categories, and a yes said after it counts.
    stop = context.exists("SELECT 1 FROM preferences_marketingstop m WHERE m.recipient_id = r.id AND m.channel = %s")
    return (
        f"({noes} OR {stop}) AND NOT {context.exists(own)}",
        [channel, category.id, channel, channel, category.id],
    )


def _device(condition: Condition, op: str, context: Context) -> Sql:
    devices = "SELECT 1 FROM preferences_devicetoken t WHERE t.recipient_id = r.id AND t.retired_at IS NULL"
    if not condition.value:
        return context.exists(devices), []
    return context.exists(f"{devices} AND t.platform = %s"), [condition.value]


def _list(condition: Condition, op: str, context: Context) -> Sql:
    members = "SELECT 1 FROM campaigns_recipientlistmember m WHERE m.recipient_id = r.id AND m.list_id = %s"
    return context.exists(members), [condition.value]


def _engagement(condition: Condition, op: str, context: Context) -> Sql:
    asked: Engagement = condition.value
    since = context.now - timedelta(days=asked.days)
    oldest, newest = str(floor(since - LOOK_BACK)), str(floor(context.now + timedelta(days=1)))
    of = ""
    parameters: list[Any] = []
    if asked.category:
        of, parameters = " AND n.category_id = %s", [context.known.category(asked.category).id]
    elif asked.campaign:
        of, parameters = " AND n.source = %s", [f"campaign:{asked.campaign}"]
    messages = (
        "SELECT 1 FROM notifications_notification n"
        " JOIN notifications_delivery d ON d.notification_id = n.id AND d.id >= %s::uuid AND d.id < %s::uuid"
        f"{_SAME_MOMENT if context.few else ''}"
        " WHERE n.recipient_id = r.id AND n.id >= %s::uuid AND n.id < %s::uuid"
        f" AND {_DID[condition.field.name]} >= %s{of}"
    )
    return context.exists(messages), [oldest, newest, oldest, newest, since, *parameters]


_BY_KIND: Final[dict[Kind, Callable[[Condition, str, Context], Sql]]] = {
    Kind.EXACT: _exact,
    Kind.TEXT: _text,
    Kind.PRESENCE: _presence,
    Kind.MOMENT: _moment,
    Kind.ATTRIBUTE: _attribute,
    Kind.PREFERENCE: _preference,
    Kind.DEVICE: _device,
    Kind.LIST: _list,
    Kind.ENGAGEMENT: _engagement,
}
