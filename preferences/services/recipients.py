"""Writing recipients in batches: one INSERT for who is new, one UPDATE for who changed, and erasure."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from django.db import connection, transaction

from core.ids import uuid7
from preferences.errors import BatchRejected, Problem, ValidationProblem
from preferences.models import Recipient
from preferences.services.inputs import MAX_BATCH, UNSET, RecipientInput, Trace, UpsertResult
from preferences.signals import recipient_erased
from preferences.validation import DEFAULT_QUIET_HOURS, NO_QUIET_HOURS, VALIDATORS

#: A batch as rows: null means "leave as it is". `attributes` is JSON text.
_INPUT = (
    "unnest(%(id)s::uuid[], %(external_id)s::text[], %(name)s::text[], %(email)s::text[], %(phone)s::text[],"
    " %(locale)s::text[], %(timezone)s::text[], %(quiet_hours)s::text[], %(email_verified)s::boolean[],"
    " %(phone_verified)s::boolean[], %(attributes)s::text[])"
    " AS i(id, external_id, name, email, phone, locale, timezone, quiet_hours, email_verified, phone_verified,"
    " attributes)"
)
_TEXTS = ("name", "email", "phone", "locale", "timezone")
_FIELDS = (*_TEXTS, "quiet_hours", "email_verified", "phone_verified", "attributes")
#: `i.quiet_hours` is null for what stays, NO_QUIET_HOURS, DEFAULT_QUIET_HOURS, or as 22:00-07:30.
_WINDOW = f"nullif(nullif(i.quiet_hours, '{NO_QUIET_HOURS}'), '{DEFAULT_QUIET_HOURS}')"
_NEVER = f"(i.quiet_hours = '{NO_QUIET_HOURS}')"
_START, _END = (f"split_part({_WINDOW}, '-', {part})::time" for part in (1, 2))
#: What a recipient has, in the same form.
_QUIET = (
    "coalesce(left(r.quiet_start::text, 5) || '-' || left(r.quiet_end::text, 5),"
    f" CASE WHEN r.quiet_never THEN '{NO_QUIET_HOURS}' ELSE '{DEFAULT_QUIET_HOURS}' END)"
)
_QUIET_DIFFERS = f"(i.quiet_hours IS NOT NULL AND i.quiet_hours <> {_QUIET})"
#: Where the zone decides something: only of who has quiet hours.
_ZONE_DIFFERS = "(r.quiet_start IS NOT NULL AND coalesce(i.timezone, r.timezone) <> r.timezone)"

#: Whether the host says that an address is confirmed, null where it says nothing; and where that is news.
_SAID = {kind: f"(i.{kind}_verified AND coalesce(i.{kind}, r.{kind}) <> '')" for kind in ("email", "phone")}
_VERIFIED_DIFFERS = " OR ".join(f"{said} <> (r.{kind}_verified_at IS NOT NULL)" for kind, said in _SAID.items())


def _verified_at(kind: str) -> str:
    """A new address is not confirmed, unless the host says so; of the same one only a word of the host changes it."""
    is_same = f"coalesce(i.{kind}, r.{kind}) = r.{kind}"
    return f"""CASE WHEN {_SAID[kind]} IS NULL AND {is_same} THEN r.{kind}_verified_at
                        WHEN {_SAID[kind]} AND {is_same} THEN coalesce(r.{kind}_verified_at, clock_timestamp())
                        WHEN {_SAID[kind]} THEN clock_timestamp() END"""


def insert_new(source: str) -> str:
    """SQL that inserts the rows of `source` whose external id is new and answers how many. In the order of the ids,
    so that two batches with the same people wait for each other instead of deadlocking."""
    return f"""
        WITH made AS (
            INSERT INTO preferences_recipient
                   (id, external_id, name, email, phone, locale, timezone, quiet_start, quiet_end, quiet_never,
                    email_verified_at, phone_verified_at, attributes)
            SELECT i.id, i.external_id, coalesce(i.name, ''), coalesce(i.email, ''), coalesce(i.phone, ''),
                   coalesce(i.locale, ''), coalesce(i.timezone, 'UTC'), {_START}, {_END},
                   coalesce({_NEVER}, FALSE),
                   CASE WHEN i.email_verified AND i.email <> '' THEN clock_timestamp() END,
                   CASE WHEN i.phone_verified AND i.phone <> '' THEN clock_timestamp() END,
                   coalesce(i.attributes::jsonb, '{{}}')
              FROM {source} ORDER BY i.external_id COLLATE "C"
            ON CONFLICT (external_id) DO NOTHING RETURNING 1
        ) SELECT count(*) FROM made"""


def update_changed(source: str, attributes: str) -> str:
    """SQL that applies the rows of `source` to the recipients that exist and differ, and answers their external ids.
    `attributes` is the SQL for the new attributes. `preferences_changed_at` moves only where an address or the quiet
    hours did.

    A lock is a write, so whoever does not differ is not locked either: they are most of a file that is imported again.
    What people may look up in their history is written along; the statement's parameters `way` and `batch` say whose
    doing it was.
    """
    differs = " OR ".join([f"coalesce(i.{name}, r.{name}) <> r.{name}" for name in _TEXTS])
    differs = f"({differs} OR {_QUIET_DIFFERS} OR {_VERIFIED_DIFFERS} OR {attributes} <> r.attributes)"
    return f"""
        WITH locked AS MATERIALIZED (
            SELECT r.id, i.name, i.email, i.phone, i.locale, i.timezone, i.quiet_hours, i.email_verified,
                   i.phone_verified, i.attributes, r.email AS old_email, r.phone AS old_phone,
                   r.locale AS old_locale, r.timezone AS old_timezone,
                   {_QUIET} AS old_quiet
              FROM (SELECT i.external_id, i.name, i.email, i.phone, i.locale, i.timezone, i.quiet_hours,
                           i.email_verified, i.phone_verified, i.attributes::jsonb AS attributes FROM {source}) i
              JOIN preferences_recipient r ON r.external_id = i.external_id
             WHERE {differs}
             ORDER BY r.external_id FOR NO KEY UPDATE OF r
        ), noted AS (
            INSERT INTO preferences_changerecord (recipient_id, batch, way, what, before, after)
            SELECT l.id, %(batch)s::uuid, %(way)s::text, v.what, left(v.before, 64), left(v.after, 64)
              FROM locked l CROSS JOIN LATERAL (VALUES
                   ('email', '', '', l.email <> l.old_email), ('phone', '', '', l.phone <> l.old_phone),
                   ('locale', l.old_locale, l.locale, l.locale <> l.old_locale),
                   ('timezone', l.old_timezone, l.timezone, l.timezone <> l.old_timezone),
                   ('quiet_hours', l.old_quiet, l.quiet_hours, l.quiet_hours <> l.old_quiet)
              ) AS v(what, before, after, differs)
             WHERE v.differs
        )
        UPDATE preferences_recipient r
           SET name = coalesce(i.name, r.name), email = coalesce(i.email, r.email),
               email_verified_at = {_verified_at("email")},
               phone_verified_at = {_verified_at("phone")},
               phone = coalesce(i.phone, r.phone), locale = coalesce(i.locale, r.locale),
               timezone = coalesce(i.timezone, r.timezone), attributes = {attributes},
               quiet_start = CASE WHEN i.quiet_hours IS NULL THEN r.quiet_start ELSE {_START} END,
               quiet_end = CASE WHEN i.quiet_hours IS NULL THEN r.quiet_end ELSE {_END} END,
               quiet_never = coalesce({_NEVER}, r.quiet_never),
               updated_at = clock_timestamp(),
               preferences_changed_at = CASE
                   WHEN coalesce(i.email, r.email) <> r.email OR coalesce(i.phone, r.phone) <> r.phone
                        OR {_QUIET_DIFFERS} OR {_ZONE_DIFFERS}
                   THEN clock_timestamp() ELSE r.preferences_changed_at END
          FROM locked i
         WHERE r.id = i.id AND {differs}
        RETURNING r.external_id"""


_INSERT = insert_new(_INPUT)
_UPDATE = update_changed(_INPUT, "coalesce(i.attributes, r.attributes)")


def upsert(rows: Sequence[RecipientInput], trace: Trace) -> tuple[UpsertResult, list[str]]:
    """Create or change these; the external ids of those changed come with the result. Runs in the caller's transaction.

    Raises BatchRejected, with nothing written, when any row has a value that cannot be taken.
    """
    merged = _merge(_validated(rows))
    if not merged:
        return UpsertResult(0, 0, 0), []
    parameters: dict[str, Any] = {**_columns(merged), "way": trace.way.value, "batch": trace.batch}
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, parameters)
        created: int = cursor.fetchone()[0]
        changed: list[str] = []
        if created < len(merged):
            cursor.execute(_UPDATE, parameters)
            changed = [row[0] for row in cursor.fetchall()]
    return UpsertResult(created, len(changed), len(merged) - created - len(changed)), changed


def erase(external_id: str) -> bool:
    """Delete a recipient, their devices and preferences; everyone who keeps something about them is told first.
    Whether they existed. Suppressions stay: they are hashes, and the address must stay unused."""
    with transaction.atomic():
        recipient = Recipient.objects.select_for_update().filter(external_id=external_id).first()
        if recipient is None:
            return False
        recipient_erased.send(sender=Recipient, recipient_id=recipient.id)
        recipient.delete()
    return True


def _validated(rows: Sequence[RecipientInput]) -> list[dict[str, Any]]:
    """Each row's given fields, normalised."""
    if len(rows) > MAX_BATCH:
        raise ValueError(f"At most {MAX_BATCH} recipients in one call; {len(rows)} given.")
    errors: dict[int, list[Problem]] = {}
    values = []
    for index, row in enumerate(rows):
        given: dict[str, Any] = {}
        for field in ("external_id", *_FIELDS):
            value = getattr(row, field)
            if value is UNSET:
                continue
            try:
                given[field] = VALIDATORS[field](value)
            except ValidationProblem as problem:
                errors.setdefault(index, []).append(Problem(field, problem.code, problem.message))
        values.append(given)
    if errors:
        raise BatchRejected(errors)
    return values


def _merge(values: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One item per external id; a later one wins field by field."""
    merged: dict[str, dict[str, Any]] = {}
    for given in values:
        merged.setdefault(given["external_id"], {}).update(given)
    return list(merged.values())


def _columns(merged: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    fields = ("external_id", *_FIELDS)
    columns: dict[str, list[Any]] = {field: [given.get(field) for given in merged] for field in fields}
    columns["attributes"] = [None if value is None else orjson.dumps(value).decode() for value in columns["attributes"]]
    columns["id"] = [uuid7() for _ in merged]
    return columns
