"""What the builder offers: the vocabulary, and what can be chosen in it on this installation."""

from typing import Any, Final

from django.apps import apps
from django.db import connection

from campaigns.segments.models import RecipientList
from campaigns.segments.values import MAX_DAYS, MAX_ENGAGEMENT_DAYS
from campaigns.segments.vocabulary import FIELDS, Field
from core.statements import StatementTooSlow, bounded
from preferences.choices import Channel, Platform
from preferences.models import Category

#: Lines of a menu; the newest campaigns, and the first of everything else.
MOST: Final = 200
#: The newest people, whose attributes and languages are suggested. Others can be typed.
_LOOKED_AT: Final = 500
_PATIENCE_MS: Final = 300


def offered() -> dict[str, Any]:
    """The builder's menus, as JSON."""
    campaigns = apps.get_model("campaigns", "Campaign")._default_manager.filter(started_at__isnull=False)
    return {
        "fields": [_field(field) for field in FIELDS.values()],
        "channels": list(Channel.choices),
        "platforms": list(Platform.choices),
        "categories": [[slug, name] for slug, name in Category.objects.values_list("slug", "name")[:MOST]],
        "lists": [[id, name] for id, name in RecipientList.objects.values_list("id", "name")[:MOST]],
        "campaigns": [[id, name] for id, name in campaigns.order_by("-id").values_list("id", "name")[:MOST]],
        "days": {"days": MAX_DAYS, "engagement": MAX_ENGAGEMENT_DAYS},
        **_suggestions(),
    }


def _field(field: Field) -> dict[str, Any]:
    return {
        "name": field.name,
        "label": field.label,
        "about": field.about,
        "kind": field.kind,
        "ops": [{"name": op.name, "label": op.label, "takes": op.takes} for op in field.ops],
    }


def _suggestions() -> dict[str, list[str]]:
    """Attributes, languages and time zones that the newest people have."""
    newest = "SELECT attributes, locale, timezone FROM preferences_recipient ORDER BY id DESC LIMIT %s"
    asked = {
        "keys": f"SELECT DISTINCT jsonb_object_keys(attributes) FROM ({newest}) n ORDER BY 1 LIMIT %s",
        "locales": f"SELECT DISTINCT locale FROM ({newest}) n WHERE locale <> '' ORDER BY 1 LIMIT %s",
        "timezones": f"SELECT DISTINCT timezone FROM ({newest}) n ORDER BY 1 LIMIT %s",
    }
    found: dict[str, list[str]] = {}
    for name, sql in asked.items():
        found[name] = _texts(sql)
    return found


def _texts(sql: str) -> list[str]:
    try:
        with bounded(_PATIENCE_MS), connection.cursor() as cursor:
            cursor.execute(sql, [_LOOKED_AT, MOST])
            return [row[0] for row in cursor.fetchall()]
    except StatementTooSlow:
        return []  # it can be typed all the same
