"""From rows to the shapes of the API."""

from typing import Any

import msgspec

from campaigns.api.shapes import (
    CampaignBrief,
    CampaignEventShape,
    CampaignFigures,
    CampaignPlan,
    CampaignShape,
    VariantShape,
)
from campaigns.models import (
    Audience,
    Campaign,
    CampaignEvent,
    CampaignStatus,
    Phase,
    Recurrence,
    Schedule,
    WinnerMetric,
)
from notifications.choices import Priority

#: Columns that stand in the answer as they are.
_PLAIN = (
    "data", "utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", "send_at", "local_date",
    "local_time", "recurrence_zone", "recurs_until", "throttle_per_minute", "canary_percent", "canary_minutes",
    "canary_max_failures", "test_percent", "decide_after_minutes", "held_until", "problem", "review_note",
    "submitted_at", "approved_at",
)  # fmt: skip


def brief(row: Campaign) -> CampaignBrief:
    return CampaignBrief(**_brief(row))


def campaign(row: Campaign) -> CampaignShape:
    variants = row.variants.select_related("template")
    return CampaignShape(
        **_brief(row),
        **{name: getattr(row, name) for name in _PLAIN},
        channels=list(row.channels),
        strategy=row.strategy,  # stored as it is answered
        segment=row.segment_id,
        saved_list=row.saved_list_id,
        exclude_segments=list(row.exclude_segments.order_by("pk").values_list("pk", flat=True)),
        exclude_lists=list(row.exclude_lists.order_by("pk").values_list("pk", flat=True)),
        priority=Priority(row.priority) if row.priority else None,
        recurrence=Recurrence(row.recurrence) if row.recurrence else None,
        recurs_on=list(row.recurs_on),
        variants=[VariantShape(variant.template.slug, variant.weight) for variant in variants],
        winner_metric=WinnerMetric(row.winner_metric),
        winner=row.winner.template.slug if row.winner else None,
        phase=Phase(row.phase),
        submitted_by=_name(row.submitted_by),
        approved_by=_name(row.approved_by),
        template_version=row.template_version.number if row.template_version else None,
        parent=row.parent_id,
    )


def event(row: CampaignEvent) -> CampaignEventShape:
    return CampaignEventShape(row.pk, row.at, row.action, row.actor_name or None, row.detail)


def plan(planned: dict[str, Any]) -> CampaignPlan:
    return msgspec.convert(planned, CampaignPlan)


def figures(snapshot: dict[str, Any]) -> CampaignFigures:
    return msgspec.convert(snapshot, CampaignFigures)


def _brief(row: Campaign) -> dict[str, Any]:
    return {
        "id": row.pk,
        "name": row.name,
        "status": CampaignStatus(row.status),
        "template": row.template.slug,
        "category": row.category.slug,
        "audience": Audience(row.audience),
        "audience_size": row.audience_size,
        "schedule": Schedule(row.schedule),
        "starts_at": row.starts_at,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
        "archived": row.archived_at is not None,
        "created_by": _name(row.created_by),
        "created_at": row.created_at,
    }


def _name(user: Any) -> str | None:
    return user.get_username() if user else None
