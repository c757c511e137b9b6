"""What was approved, as a hash: the same for the same campaign, another when anything that people receive differs."""

import hashlib
from collections.abc import Iterable
from typing import Any

import orjson
from django.db import connection

from campaigns.models import Audience, Campaign
from campaigns.models.campaign import CONTENT
from notifications.models import TemplateVersion


def fingerprint(campaign: Campaign) -> str:
    """SHA-256, in hex, over its content, the wording that is pinned, its audience and its variants."""
    described = orjson.dumps(_described(campaign), option=orjson.OPT_SORT_KEYS, default=str)
    return hashlib.sha256(described).hexdigest()


def _described(campaign: Campaign) -> dict[str, Any]:
    variants = list(campaign.variants.order_by("label").values("label", "template_id", "template_version_id", "weight"))
    versions = {campaign.template_version_id, *(variant["template_version_id"] for variant in variants)}
    wordings = TemplateVersion.objects.filter(pk__in=[pk for pk in versions if pk is not None]).order_by("pk")
    return {
        "content": _content(campaign),
        "version": campaign.template_version_id,
        "variants": variants,
        "wordings": list(wordings.values_list("pk", "content")),
        "people": _people(campaign),
    }


def _content(campaign: Campaign) -> dict[str, object]:
    """Without a strategy where it has none, as what was approved before there were strategies."""
    columns = {column: getattr(campaign, column) for column in CONTENT}
    return {name: value for name, value in columns.items() if name != "strategy" or value is not None}


def _people(campaign: Campaign) -> dict[str, object]:
    """Of a segment its definition, of a list, saved or pasted, its members; everyone is whoever there is at the
    start."""
    return {
        "segment": campaign.segment and campaign.segment.definition,
        "saved_list": _on_lists([campaign.saved_list_id]) if campaign.saved_list_id else None,
        "exclude_segments": list(campaign.exclude_segments.order_by("pk").values_list("pk", "definition")),
        "exclude_lists": _on_lists(campaign.exclude_lists.values_list("pk", flat=True)),
        "pasted": _pasted(campaign) if campaign.audience == Audience.LIST else None,
    }


def _on_lists(lists: Iterable[int]) -> object:
    """The lists, and of each the number of its members and the sum of their hashes: the same in whatever order."""
    named = sorted(lists)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT list_id, count(*), sum(uuid_hash_extended(recipient_id, list_id))::text"
            "  FROM campaigns_recipientlistmember WHERE list_id = ANY(%s) GROUP BY list_id ORDER BY list_id",
            [named],
        )
        return named, cursor.fetchall()


def _pasted(campaign: Campaign) -> object:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), md5(string_agg(recipient_id::text, ',' ORDER BY recipient_id))"
            "  FROM campaigns_campaignmember WHERE campaign_id = %s",
            [campaign.pk],
        )
        return cursor.fetchone()
